"""Whether free windows are found as fast among a million bookings as among ten thousand.

Twenty handymen, half of the windows to come are taken, one handyman has none free; all other bookings lie in the past.
Three databases of different size are asked in turn, each by a process of its own.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import psycopg

from benchmarks import databases
from benchmarks.customers import SERVICE
from benchmarks.measured import Figure

SIZES = (10_000, 100_000, 1_000_000)
QUESTIONS = ("week", "next free", "week, fully booked handyman", "next free, fully booked handyman")
MOST_QUERIES = 4

PEOPLE = """
UPDATE bookings_handyman SET active = false;
DELETE FROM bookings_holiday;
WITH made AS (
    INSERT INTO bookings_handyman (slug, name, bio, active)
    SELECT 'bench-' || n, 'Bench ' || n, '', true FROM generate_series(1, {people}) AS n RETURNING id
), skilled AS (
    INSERT INTO bookings_handyman_skills (handyman_id, service_id)
    SELECT made.id, service.id FROM made, bookings_service AS service WHERE service.slug = '{service}'
)
INSERT INTO bookings_workinghours (handyman_id, weekday, start, "end")
SELECT made.id, weekday, '08:00', '18:00' FROM made, generate_series(0, 6) AS weekday;
"""
_ROWS = """
INSERT INTO bookings_booking SELECT made.* FROM
    (SELECT row_number() OVER () AS n, handyman, at FROM ({visits}) AS visits) AS visit,
    (SELECT booking AS prototype FROM bookings_booking AS booking ORDER BY id LIMIT 1) AS one,
    LATERAL jsonb_populate_record(one.prototype, jsonb_build_object(
        'id', nextval(pg_get_serial_sequence('bookings_booking', 'id')),
        'reference', {mark} || lpad(to_hex(n), 7, '0'), 'idempotency_key', {mark} || n, 'link_key', {mark} || n,
        'handyman_id', handyman, 'status', '{status}',
        'starts_at', at, 'arrival_until', at + interval '1 hour', 'ends_at', at + interval '1 hour',
        'during', tstzrange(at, at + interval '90 minutes'), 'created_at', at - interval '3 days'
    )) AS made
"""
_PAST = """
SELECT h.id AS handyman, date_trunc('hour', now()) - interval '1 day' - k * interval '2 hours' AS at
FROM (SELECT id FROM bookings_handyman WHERE active) AS h, generate_series(1, {each}) AS k
"""
_TO_COME = """
SELECT h.id AS handyman, (current_date + day + hour * interval '1 hour') AT TIME ZONE 'Europe/London' AS at
FROM (SELECT id, slug FROM bookings_handyman WHERE active) AS h,
     generate_series(0, 62) AS day, generate_series(8, 16, 2) AS hour
WHERE h.slug = 'bench-1' OR (h.id + day + hour / 2) % 2 = 0
"""


def fill(url: str, bookings: int, people: int = 20, past: str = "confirmed") -> None:
    """Make the people and, by `INSERT … SELECT generate_series`, their bookings, past ones with that status."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(PEOPLE.format(service=SERVICE, people=people))
        subprocess.run(
            [sys.executable, "-m", "benchmarks.availability", "prototype"], env=_environment(url), check=True
        )
        visits = (("'F'", _TO_COME, "confirmed"), ("'P'", _PAST.format(each=bookings // people), past))
        for mark, rows, status in visits:
            connection.execute(_ROWS.format(visits=rows, mark=mark, status=status))
        connection.execute("VACUUM ANALYZE")


def figures(quick: bool = False) -> list[Figure]:
    """The ratio of each question's time among the most bookings to that among the fewest, and its queries."""
    return compared("availability", __name__, dict.fromkeys(QUESTIONS, MOST_QUERIES), fill, quick)


def compared(
    part: str,
    module: str,
    questions: Mapping[str, int],
    filled: Callable[[str, int], None],
    quick: bool,
    rounds: int = 60,
) -> list[Figure]:
    """The figures of questions, by the most queries that each may need, which `module` answers (see `answer`)."""
    rounds = rounds // 6 if quick else rounds
    sizes = SIZES[:2] if quick else SIZES
    taken: dict[tuple[str, int], list[float]] = {}
    queries: dict[str, float] = {}
    with ExitStack() as open_, databases.demo_template() as template:
        askers: dict[int, Callable[[str], tuple[float, int]]] = {}
        for size in sizes:
            url = open_.enter_context(databases.copy(template))
            filled(url, size)
            askers[size] = open_.enter_context(_asker(url, module, questions))
        for question in questions:
            queries[question] = max(ask(f"queries {question}")[1] for ask in askers.values())
            for _ in range(rounds):
                for size, ask in askers.items():
                    taken.setdefault((question, size), []).append(ask(question)[0] * 1000)
    made = []
    for question, most_queries in questions.items():
        fewest, most = (taken[question, size] for size in (sizes[0], sizes[-1]))
        pairs = [many / few for many, few in zip(most, fewest, strict=True)]
        made.append(Figure(part, f"{question}: {sizes[-1]:,} against {sizes[0]:,} bookings", pairs, bound=1.3))
        made.append(Figure(part, f"{question}: time at {sizes[-1]:,}", most, "ms"))
        made.append(Figure(part, f"{question}: queries", [queries[question]], "", most_queries))
    return made


@contextmanager
def _asker(url: str, module: str, questions: Mapping[str, int]) -> Iterator[Callable[[str], tuple[float, int]]]:
    """Asks a process that works on that database; answers seconds and queries."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, "answer"],
        env=_environment(url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(question: str) -> tuple[float, int]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(question + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line.count(" ") == 1, line
        seconds, queries = line.split()
        return float(seconds), int(queries)

    try:
        for question in [*questions] * 3:
            ask(question)
        yield ask
    finally:
        process.terminate()
        process.wait()


def _environment(url: str) -> Mapping[str, str]:
    return {**os.environ, "DATABASE_URL": url, "TELEMETRY": "off", "DB_STATEMENT_TIMEOUT": "600"}


def _prototype() -> None:
    from datetime import UTC, datetime

    from bookings.models import Booking, Handyman, Service

    service, handyman = Service.objects.get(slug=SERVICE), Handyman.objects.get(slug="bench-20")
    at = datetime(2001, 1, 1, 9, tzinfo=UTC)
    who = {"customer_name": "Ada Benchmark", "customer_phone": "020 7946 0999", "address": "1 Measured Mile"}
    booking = Booking(service=service, handyman=handyman, consent_at=at, **who)
    booking.take_time(at)
    booking.take_price()
    booking.save(force_insert=True)


def _answers() -> dict[str, Callable[[], object]]:
    from django.utils import timezone

    from bookings.models import Handyman, Service
    from bookings.slots import calendars
    from bookings.slots.week import week

    service, full = Service.objects.get(slug=SERVICE), Handyman.objects.get(slug="bench-1")
    return {
        "week": lambda: week(service=service, now=timezone.now()),
        "next free": lambda: calendars.next_slots(service=service),
        "week, fully booked handyman": lambda: week(service=service, now=timezone.now(), handyman=full),
        "next free, fully booked handyman": lambda: calendars.next_slots(service=service, handyman=full),
    }


def answer(made: Callable[[], Mapping[str, Callable[[], object]]]) -> None:
    """Answer each question of standard input with the seconds that it took; "queries …" with the queries instead.

    Standard output has the answers alone: what the site logs goes to standard error.
    """
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answers = made()
    for line in sys.stdin:
        if line.startswith("queries "):
            with CaptureQueriesContext(connection) as queries:
                answers[line.strip().removeprefix("queries ")]()
            print(0, len(queries), file=out, flush=True)
        else:
            began = time.perf_counter()
            answers[line.strip()]()
            print(time.perf_counter() - began, 0, file=out, flush=True)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")
    django.setup()
    _prototype() if sys.argv[1] == "prototype" else answer(_answers)
