"""Beacons against the running site: hostile ones, slow ones, a database that is gone, a stop under load."""

import gzip
import os
import random
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil
import psycopg
import pytest

from harness.stack import Stack, wait_for
from telemetry.rum import store, tokens
from telemetry.rum.views import MOST_BYTES
from tests.rum import Watched

ANY_RATE = {"RUM_RATE": "1000000", "RUM_RATE_PER_CLIENT": "1000000"}
EVERY_VIEW = {**ANY_RATE, "RUM_CLIENT_WINDOW": "0"}
HEADERS = {
    "Content-Type": "application/json",
    "Sec-Fetch-Site": "same-origin",
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537",
}


def view(route: str = "/contact/") -> bytes:
    """A beacon as the real one sends it."""
    vitals = {"LCP": 1200, "CLS": 0.05, "FCP": 800, "TTFB": 90}
    return orjson.dumps({"token": tokens.issue(route), "navigation": "navigate", "vitals": vitals, "age": 5000})


class Sender:
    """One keep-alive connection to a site."""

    def __init__(self, site: Stack) -> None:
        self._address = urlsplit(site.url).netloc
        self._connection = HTTPConnection(self._address, timeout=15)

    def __call__(self, body: bytes, headers: dict[str, str] | None = None, method: str = "POST") -> int:
        """The status of the answer; -1 when the server closed the connection without one."""
        try:
            self._connection.request(method, "/api/telemetry", body, headers or HEADERS)
            answer = self._connection.getresponse()
            answer.read()
        except (HTTPException, OSError):
            self._connection.close()
            return -1
        return answer.status


def raw(site: Stack, pieces: list[bytes], pause: float = 0.0) -> int:
    """Send bytes as they are and return the status of the answer, or -1."""
    address = urlsplit(site.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            answer = connection.recv(100)
        except OSError:
            return -1
    return int(answer.split()[1]) if answer else -1


def head(site: Stack, *extra: str) -> bytes:
    lines = ["POST /api/telemetry HTTP/1.1", f"Host: {urlsplit(site.url).netloc}"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    return "\r\n".join([*lines, *extra, "", ""]).encode()


def hostile(seed: int) -> Iterator[tuple[bytes, dict[str, str], str]]:
    """Bodies, headers and methods without end; the same for the same seed."""
    rng = random.Random(seed)
    bomb = gzip.compress(b" " * 10_000_000)
    values: list[Callable[[], Any]] = [
        lambda: rng.choice([None, True, -1, 1e308, 2**70, "", "\x00" * 50, [], {}, [[[[]]]], {"a": {"b": []}}]),
        lambda: "x" * rng.choice([1, 100, 5000]),
        lambda: rng.uniform(-1e12, 1e12),
        lambda: [rng.choice([1, None, "x", {}, []]) for _ in range(rng.choice([1, 13, 60]))],
        lambda: {f"k{rng.randrange(10**9)}": rng.random() for _ in range(5)},
        lambda: [
            {"path": f"/invented/{rng.randrange(10**9)}/", "status": rng.randrange(-9, 9999), "at": 1, "duration": 5}
        ],
        lambda: [{"type": "E" * rng.randrange(200), "message": "m", "stack": "at x (y:1:2)\n" * rng.randrange(50)}],
        lambda: [{"directive": f"d{rng.random()}", "blocked": "https://x.example/" + "y" * 300}],
    ]
    keys = [
        "vitals",
        "timings",
        "fetches",
        "errors",
        "views",
        "view",
        "part",
        "age",
        "navigation",
        "dropped",
    ]

    def beacon() -> bytes:
        data: dict[str, Any] = {key: rng.choice(values)() for key in rng.sample(keys, rng.randrange(len(keys)))}
        data["token"] = rng.choice([None, "", "a:b:c", f"{rng.random()}", 5, tokens.issue("/")[:-3] + "xyz"])
        data["route"] = f"/invented/{rng.randrange(10_000)}/"
        return orjson.dumps(data, default=str, option=orjson.OPT_PASSTHROUGH_SUBCLASS) if _fits(data) else b"{}"

    def mutated() -> bytes:
        body = bytearray(view())
        for _ in range(rng.randrange(1, 9)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        return bytes(body)

    kinds: list[Callable[[], tuple[bytes, dict[str, str], str]]] = [
        *[lambda: (beacon(), HEADERS, "POST")] * 6,
        *[lambda: (mutated(), HEADERS, "POST")] * 3,
        lambda: (rng.randbytes(rng.randrange(2000)), HEADERS, "POST"),
        lambda: (b"[" * rng.randrange(1, 60_000), HEADERS, "POST"),
        lambda: (b'{"a":' * rng.randrange(1, 10_000), HEADERS, "POST"),
        lambda: (
            rng.choice([b"NaN", b'{"age": NaN}', b'{"age": -Infinity}', b"1" * 5000, b'"', b"null"]),
            HEADERS,
            "POST",
        ),
        lambda: (b" " * (65_537), HEADERS, "POST"),
        lambda: (bomb[:60_000], {**HEADERS, "Content-Encoding": "gzip"}, "POST"),
        lambda: (view(), {**HEADERS, "Sec-Fetch-Site": "cross-site"}, "POST"),
        lambda: (view(), {**HEADERS, "Content-Type": rng.choice(["text/plain", "", "a/b;" * 50])}, "POST"),
        lambda: (b"", HEADERS, rng.choice(["GET", "PUT", "DELETE", f"X{rng.randrange(10**6)}"])),
        lambda: (struct.pack("d", rng.random()) * 100, HEADERS, "POST"),
    ]
    while True:
        yield rng.choice(kinds)()


def _fits(data: dict[str, Any]) -> bool:
    try:
        orjson.dumps(data)
    except TypeError:  # a whole number of more than 64 bits
        return False
    return True


def memory(site: Stack) -> int:
    """Resident bytes of the web workers."""
    return sum(child.memory_info().rss for child in psutil.Process(site.web.pid).children())


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(3_000, id="short"),
        pytest.param(100_000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_it_withstands_hostile_beacons(stack: Callable[..., Stack], count: int) -> None:
    site = Watched(stack(env=ANY_RATE))
    answers: Counter[int] = Counter()

    def attack(seed: int, number: int) -> None:
        send, payloads = Sender(site.site), hostile(seed)
        for _ in range(number):
            answers[send(*next(payloads))] += 1

    with ThreadPoolExecutor(4) as attackers:
        list(attackers.map(attack, range(4), [count // 20] * 4))  # every kind once, so that what is lazy is loaded
        before, logged, series = memory(site.site), len(site.site.log_text), site.series("rum_")
        attacks = [attackers.submit(attack, seed, count * 4 // 20) for seed in range(4, 8)]
        wait_for("the middle", lambda: sum(answers.values()) > count // 2, 900)
        assert Sender(site.site)(view()) == 204
        for each in attacks:
            each.result()
    assert {status for status in answers if status >= 500} == set()
    assert answers[-1] < count / 20  # a refusal may close the connection before the rest of the body is sent
    assert {204, 400, 403, 405, 413, 415} <= set(answers), answers
    assert memory(site.site) - before < 25_000_000
    assert len(site.site.log_text) - logged < 20_000 + count  # page_view lines: some changed ones keep a valid token
    assert site.series("rum_") - series < 700
    kept = wait_for("the legitimate row", site.rows)
    assert "/contact/" in [row["route"] for row in kept]
    assert len(kept) < count / 50  # what is left of a changed but still valid beacon
    assert site.metric("rum_beacons_total") == sum(answers.values()) - answers[-1] + 1 or answers[-1]


@pytest.mark.waits
@pytest.mark.timing
def test_it_withstands_slow_chunked_and_cut_off_bodies(stack: Callable[..., Stack]) -> None:
    site = Watched(stack(env=ANY_RATE, threads=2))
    chunk = b"1\r\n{\r\n" * 10 + b"0\r\n\r\n"
    assert raw(site.site, [head(site.site, "Transfer-Encoding: chunked"), chunk]) == 411
    assert raw(site.site, [head(site.site, "Content-Length: 99999999999999999999")]) in (400, 413)
    body = view()
    in_two = [head(site.site, f"Content-Length: {len(body)}"), body[:50], body[50:]]
    assert raw(site.site, in_two, pause=0.2) == 204  # a slow line is no attack

    # One byte now and then, on more connections than there are threads: none waits in a thread, others are served.
    drip = [head(site.site, "Content-Length: 3000"), *[b" "] * 12]
    with ThreadPoolExecutor(4) as attackers:
        dripping = [attackers.submit(raw, site.site, drip, 0.3) for _ in range(4)]
        assert Sender(site.site)(view()) == 204
        statuses = [each.result() for each in dripping]
    assert set(statuses) <= {408, -1}
    # One too large to be waited for is read in a thread apart, and let go after 2 s.
    large = [head(site.site, f"Content-Length: {MOST_BYTES}"), *[b" "] * 10]
    assert raw(site.site, large, 0.3) in (408, -1)
    assert Sender(site.site)(view()) == 204
    wait_for("the slow to be counted", lambda: site.metric("rum_beacons_total", outcome="slow") == 1)


def test_it_holds_back_who_sends_too_much(stack: Callable[..., Stack]) -> None:
    site = Watched(stack(env={"RUM_RATE_PER_CLIENT": "1"}))
    send = Sender(site.site)
    answers = Counter(send(view()) for _ in range(40))
    assert answers[204] in range(10, 16)
    assert answers[429] == 40 - answers[204]


@pytest.fixture
def outage(demo_database: str) -> Iterator[Callable[[bool], None]]:
    """Call with True to shut the site's database to everybody, with False to open it again."""
    name = urlsplit(demo_database).path.removeprefix("/")

    def set_to(down: bool) -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {"false" if down else "true"}')
            if down:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    yield set_to
    set_to(False)


@pytest.mark.timing
def test_it_takes_beacons_while_the_database_is_down(
    stack: Callable[..., Stack], outage: Callable[[bool], None]
) -> None:
    site = Watched(stack(env=EVERY_VIEW))
    send = Sender(site.site)
    outage(True)
    assert [send(view()) for _ in range(20)] == [204] * 20
    assert site.site.get(site.site.metrics_url)[0] == 200
    outage(False)
    wait_for("the rows that waited", lambda: len(site.rows()) == 20)
    assert site.metric("rum_lcp_seconds_count", route="/contact/") == 20

    outage(True)
    assert [send(view()) for _ in range(30)] == [204] * 30
    site.site.web.send_signal(signal.SIGTERM)
    started = time.monotonic()
    site.site.web.wait(15)
    assert time.monotonic() - started < 8
    [lost] = site.site.log_events("rum_rows_lost")
    assert lost["rows"] == 30


def test_it_counts_the_rows_it_has_no_room_for(stack: Callable[..., Stack], outage: Callable[[bool], None]) -> None:
    site = Watched(stack(env=ANY_RATE))
    outage(True)
    sent = store.ROOM + 200

    def send_many(number: int) -> None:
        send = Sender(site.site)
        assert {send(view()) for _ in range(number)} == {204}

    with ThreadPoolExecutor(4) as senders:
        list(senders.map(send_many, [sent // 4] * 4))
    assert site.metric("telemetry_dropped_total", pipeline="rum", reason="queue_full") == 200


def test_it_loses_no_accepted_row_when_it_stops_under_load(stack: Callable[..., Stack]) -> None:
    site = Watched(stack(env=ANY_RATE))
    stopped = threading.Event()

    def load() -> int:
        send, accepted = Sender(site.site), 0
        while not stopped.is_set():
            status = send(view())
            if status != 204:
                break
            accepted += 1
        return accepted

    with ThreadPoolExecutor(3) as senders:
        loads = [senders.submit(load) for _ in range(3)]
        wait_for("some rows", lambda: len(site.rows()) > 50)
        site.site.web.send_signal(signal.SIGTERM)
        site.site.web.wait(20)
        stopped.set()
        accepted = sum(each.result() for each in loads)
    lost = sum(line["rows"] for line in site.site.log_events("rum_rows_lost"))
    assert accepted <= len(site.rows()) + lost <= accepted + 3  # an answer may be lost on its way
    assert lost == 0
