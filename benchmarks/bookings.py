"""Bookings acknowledged per second by sixteen clients at once, beside django-appointment, and double bookings of each.

Spread: every client wants slots of its own. Contended: all of them want the same slot, one slot after another. Both
sites have twenty people, two workers of four threads, and the same PostgreSQL.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import psycopg

from benchmarks import availability, databases
from benchmarks.customers import SERVICE, UNLIMITED, Customer
from benchmarks.measured import Figure
from harness.stack import BASE_DIR, free_port, running_stack, wait_for

CLIENTS = 16
Book = Callable[[int], bool]
"""Whether the slot of that number was acknowledged."""

_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
_PYTHON = str(BASE_DIR / ".tools" / "appointment" / "bin" / "python")
_PEER = "benchmarks.peers.appointment_site"
_OUR_DOUBLES = """
SELECT count(*) FROM bookings_booking a JOIN bookings_booking b
ON a.id < b.id AND a.handyman_id = b.handyman_id AND a.during && b.during
AND a.status IN ('held', 'confirmed', 'completed') AND b.status IN ('held', 'confirmed', 'completed')
"""
_THEIR_DOUBLES = """
SELECT coalesce(sum(taken - 1), 0) FROM (
    SELECT count(*) AS taken FROM appointment_appointment JOIN appointment_appointmentrequest AS requested
    ON requested.id = appointment_request_id GROUP BY date, start_time, staff_member_id) AS slots
"""


def figures(quick: bool = False) -> list[Figure]:
    """Both sites in alternation, round by round; each round takes slots that nobody has wanted before."""
    rounds, size = (2, 32) if quick else (5, 160)
    found: dict[str, list[float]] = {}
    with databases.demo_template() as template, databases.copy(template) as ours, databases.copy("template0") as theirs:
        with _our_site(ours) as our_clients, _their_site(theirs) as their_clients:
            for number in range(rounds):
                for name, clients in (("ours", our_clients), ("django-appointment", their_clients)):
                    slots = range(number * 2 * size, number * 2 * size + size)
                    spread = [slots[client::CLIENTS] for client in range(CLIENTS)]
                    found.setdefault(f"spread: {name}", []).append(_per_second(clients, spread))
                    few = range(slots.stop, slots.stop + size // CLIENTS)
                    found.setdefault(f"contended: {name}", []).append(_per_second(clients, [few] * CLIENTS))
        doubles = {"ours": _count(ours, _OUR_DOUBLES), "django-appointment": _count(theirs, _THEIR_DOUBLES)}
    made = [
        Figure("booking", f"{kind}: ours against django-appointment", _ratios(found, kind))
        for kind in ("spread", "contended")
    ]
    made += [Figure("booking", name, rates, "bookings/s") for name, rates in found.items()]
    made.append(Figure("booking", "double bookings: ours", [doubles["ours"]], "", 0))
    made.append(Figure("booking", "double bookings: django-appointment", [doubles["django-appointment"]], ""))
    return made


def _ratios(found: dict[str, list[float]], kind: str) -> list[float]:
    pairs = zip(found[f"{kind}: ours"], found[f"{kind}: django-appointment"], strict=True)
    return [ours / theirs for ours, theirs in pairs]


def _per_second(clients: Sequence[Book], wanted: Sequence[Sequence[int]]) -> float:
    """Acknowledged bookings per second while every client works through the slots it wants."""

    def work(book: Book, slots: Sequence[int]) -> int:
        return sum(book(slot) for slot in slots)

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        acknowledged = sum(pool.map(work, clients, wanted))
    return acknowledged / (time.perf_counter() - began)


@contextmanager
def _our_site(url: str) -> Iterator[list[Book]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(availability.PEOPLE.format(service=SERVICE))
    with TemporaryDirectory() as directory, running_stack(Path(directory), url, UNLIMITED, workers=2) as stack:
        starts = Customer(stack.url).find_slots()[::2]

        def client() -> Book:
            customer = Customer(stack.url)
            return lambda slot: customer.book(starts[slot % len(starts)]) == 302

        clients = [client() for _ in range(CLIENTS)]
        _per_second(clients, [[-1 - number] for number in range(CLIENTS)])  # what is loaded on first use
        yield clients


@contextmanager
def _their_site(url: str) -> Iterator[list[Book]]:
    environment = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": _PEER, "PATH": "/usr/bin:/bin"}
    made = subprocess.run(
        [_PYTHON, "-m", _PEER, str(CLIENTS)],
        cwd=BASE_DIR,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    sessions = made.stdout.split()[-CLIENTS:]
    address = f"127.0.0.1:{free_port()}"
    gunicorn = [
        _PYTHON,
        "-m",
        "gunicorn",
        "-c",
        "/dev/null",
        "-b",
        address,
        "-w",
        "2",
        "--threads",
        "4",
        "--keep-alive",
        "5",
    ]
    with subprocess.Popen((*gunicorn, f"{_PEER}:application"), cwd=BASE_DIR, env=environment, **_SILENT) as process:
        try:
            wait_for("django-appointment to answer", lambda: _answers(f"http://{address}"), 60)
            first = date.today() + timedelta(days=1)

            def client(session: str) -> Book:
                customer = Customer(f"http://{address}", {"Cookie": f"sessionid={session}"})

                def book(slot: int) -> bool:
                    hour, rest = divmod(slot % 4000, 20)
                    day, hour = divmod(hour, 10)
                    return _appoint(customer, first + timedelta(days=day), 8 + hour, 1 + rest)

                return book

            clients = [client(session) for session in sessions]
            _per_second(clients, [[4000 - 20 * (1 + number)] for number in range(CLIENTS)])
            yield clients
        finally:
            process.terminate()


def _appoint(customer: Customer, day: date, hour: int, staff: int) -> bool:
    """The two forms of django-appointment: the slot, then the client."""
    typed = {"Content-Type": "application/x-www-form-urlencoded"}
    slot = {
        "date": str(day),
        "start_time": f"{hour:02}:00",
        "end_time": f"{hour + 1:02}:00",
        "service": 1,
        "staff_member": staff,
    }
    customer.send("POST", "/appointment/request-submit/", urlencode(slot), typed)
    path = customer.location
    person = {"name": "Ada Benchmark", "email": "ada@example.com", "phone_0": "GB", "phone_1": "2079460999"}
    person |= {"address": "1 Measured Mile", "additional_info": "", "payment_type": "full"}
    customer.send("POST", path, urlencode(person), typed)
    return "/thank-you/" in customer.location


def _answers(url: str) -> bool:
    try:
        Customer(url).send("GET", "/")
    except OSError:
        return False
    return True


def _count(url: str, question: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
        return int(row[0]) if row else 0
