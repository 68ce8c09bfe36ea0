"""Liveness, readiness and health: what they touch, how long they take, what they tell."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from django.test import Client
from structlog.testing import capture_logs

from harness.stack import free_port, wait_for
from telemetry import health
from telemetry.diagnosis import incidents
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.model import Cause, Incident, Symptom
from telemetry.health import Check, mail_server, memory, views
from telemetry.observe.probe import DatabaseProbe, Reachability, connect, database
from xfhandyman.wiring import health_checks as stripe_health

pytestmark = pytest.mark.django_db


class Fake(DatabaseProbe):
    """A probe whose round trip a test decides."""

    def __init__(self, reason: str = "", seconds: float = 0.0) -> None:
        super().__init__()
        self.reason, self.seconds, self.trips = reason, seconds, 0

    def _round_trip(self) -> Any:
        self.trips += 1
        time.sleep(self.seconds)
        return self.reason


@pytest.fixture(autouse=True)
def no_kept_connection() -> Iterator[None]:
    """The probe keeps its connection; here it would keep the test's database from being dropped."""
    yield
    database._drop()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(views, "database", fake)
    return fake


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    own = Board(None)
    monkeypatch.setattr(incidents, "_board", own)
    return own


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/api/health"])
def test_it_takes_only_reads_and_is_never_cached(client: Client, probe: Fake, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405


def test_it_lives_without_asking_anything(client: Client, probe: Fake, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert client.get("/livez").content == b"ok"
    assert probe.trips == 0


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/api/health"])
def test_it_answers_a_load_balancer_that_asks_by_address(client: Client, probe: Fake, path: str) -> None:
    answer = client.get(path, headers={"host": "10.1.2.3:8000"})
    assert answer.status_code == 200
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_it_is_ready_after_a_real_round_trip(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):  # the pool is left alone
        assert client.get("/readyz").status_code == 200


@pytest.mark.timing
@pytest.mark.parametrize(("reason", "seconds"), [("refused", 0.0), ("", 3.0)])
def test_it_answers_a_bare_503_within_the_limit(client: Client, probe: Fake, reason: str, seconds: float) -> None:
    probe.reason, probe.seconds = reason, seconds
    began = time.perf_counter()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"")
    assert time.perf_counter() - began < 0.7


def test_it_asks_the_database_once_for_a_flood_of_probes(probe: Fake) -> None:
    probe.seconds = 0.1
    answers: list[Reachability] = []
    threads = [threading.Thread(target=lambda: answers.append(probe.check())) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    assert all(answer.ok for answer in answers)
    assert probe.trips == 1


@pytest.mark.timing
def test_it_makes_nobody_queue_behind_a_database_known_to_be_silent(probe: Fake) -> None:
    probe.seconds = 5
    assert probe.check().reason == "timeout"
    time.sleep(0.3)  # past the time the answer is good for
    began = time.perf_counter()
    assert probe.check().reason == "timeout"
    assert time.perf_counter() - began < 0.1


def test_it_survives_the_end_of_its_connection() -> None:
    probe = DatabaseProbe()
    assert probe.check(2).ok
    with connect("default", "test", 2) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'telemetry-health'"
        )
    time.sleep(0.3)
    assert probe.check(2).ok


@pytest.mark.timing
def test_it_gives_up_on_a_server_process_that_keeps_silent_and_tries_another() -> None:
    probe = DatabaseProbe()
    assert probe.check(2).ok
    assert probe._connection is not None
    silent = probe._connection.info.backend_pid
    os.kill(silent, signal.SIGSTOP)
    try:
        time.sleep(0.3)
        began = time.perf_counter()
        assert probe.check().reason == "timeout"
        assert time.perf_counter() - began < 0.7
        wait_for("the next connection", lambda: probe.check().ok)
    finally:
        os.kill(silent, signal.SIGCONT)


def ok() -> health.State:
    return "ok"


def test_it_tells_how_each_part_is_doing(
    client: Client, probe: Fake, board: Board, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TELEMETRY = {"RELEASE": "2026.3.1"}
    # Of this test alone: what an earlier one has asked may still answer.
    monkeypatch.setattr(health, "_checks", {each.name: health.Check(each.name, ok, 60) for each in health.checks()})
    for check in health.checks():
        check.state = "ok"
    assert client.get("/api/health").json() == {
        "status": "healthy",
        "checks": {"database": "ok", "stripe": "ok", "email": "ok", "memory": "ok"},
        "version": "2026.3.1",
    }
    health.checks()[0].state = "disabled"
    assert client.get("/api/health").json()["status"] == "healthy"
    health.checks()[1].state = "degraded"
    answer = client.get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_it_calls_an_exhausted_pool_degraded_and_a_missing_database_down(
    client: Client, probe: Fake, board: Board
) -> None:
    cause = Cause("query", "SELECT bookings_booking", "duration")
    board.show([Incident("1", Symptom("pool_exhausted"), cause, 1.0, 2.0, "The database pool is exhausted")])
    answer = client.get("/api/health")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (200, "degraded")
    assert "exhausted" not in answer.content.decode()
    probe.reason, probe.last = "refused", None
    answer = client.get("/api/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["checks"]["database"]) == (
        503,
        "degraded",
        "down",
    )


@pytest.mark.timing
def test_it_never_waits_for_a_dependency(client: Client, probe: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def hang() -> Any:
        asked.set()
        time.sleep(2)
        return "ok"

    monkeypatch.setattr(health, "_checks", {"stripe": Check("stripe", hang, 60)})
    began = time.perf_counter()
    assert client.get("/api/health").json()["checks"]["stripe"] == "unknown"
    assert time.perf_counter() - began < 1
    assert asked.wait(1)


def test_it_asks_a_dependency_once_per_time_to_live() -> None:
    asked: list[int] = []
    check = Check("stripe", lambda: asked.append(1) or "ok", 60)  # type: ignore[func-returns-value]  # append, then "ok"
    for _ in range(5):
        check.refresh()
    wait_for("the answer", lambda: check.state == "ok")
    check.refresh()
    assert len(asked) == 1


def test_it_logs_once_that_a_dependency_is_degraded_however_it_tells() -> None:
    def raises() -> Any:
        raise ConnectionRefusedError

    with capture_logs() as log:
        for ask in (raises, lambda: "degraded"):
            check = Check("email", ask, 60)
            check._running.acquire()
            check._run()
            check._running.acquire()
            check._run()
    told = {"event": "dependency_degraded", "log_level": "warning", "dependency": "email"}
    assert log == [{**told, "error_type": "ConnectionRefusedError"}, told]


def test_it_connects_to_the_mail_server(settings: Any) -> None:
    settings.EMAIL_DELIVERY_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = "/tmp"
    assert mail_server.ask() == "disabled"
    settings.EMAIL_DELIVERY_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    server = Controller(Sink(), hostname="127.0.0.1", port=settings.EMAIL_PORT)
    server.start()
    try:
        assert mail_server.ask() == "ok"
    finally:
        server.stop()
    with pytest.raises(OSError, match="refused"):
        mail_server.ask()
    check = Check("email", mail_server.ask, 60)
    check.refresh()
    wait_for("the answer", lambda: check.state == "degraded")


@pytest.fixture
def stripe_api() -> Iterator[dict[str, Any]]:
    """A server that stands where Stripe's API does; set "status" and "body", read "authorization"."""
    said: dict[str, Any] = {"status": 200, "body": b"{}"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said["authorization"] = self.headers["Authorization"]
            self.send_response(said["status"])
            self.send_header("Content-Length", str(len(said["body"])))
            self.end_headers()
            self.wfile.write(said["body"])

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    said["url"] = f"http://127.0.0.1:{server.server_port}"
    yield said
    server.shutdown()
    server.server_close()


def test_it_asks_stripe_with_the_key(settings: Any, stripe_api: dict[str, Any]) -> None:
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = "", stripe_api["url"]
    assert stripe_health.stripe() == "disabled"
    settings.STRIPE_SECRET_KEY = "sk_test_demo"
    assert stripe_health.stripe() == "ok"
    assert stripe_api["authorization"].startswith("Basic ")
    for status, state in ((401, "degraded"), (503, "degraded"), (403, "ok")):
        stripe_api["status"] = status
        assert stripe_health.stripe() == state
    stripe_api |= {"status": 200, "body": b"<html>Please log in to this network</html>"}
    with pytest.raises(requests.RequestException):  # which a check takes for what it is
        stripe_health.stripe()


def test_it_measures_the_process_group_against_the_control_group(tmp_path: Path) -> None:
    own = psutil.Process().memory_full_info().pss
    assert memory.group_memory() >= own * 0.9
    inner = tmp_path / "cgroup" / "site" / "web"
    inner.mkdir(parents=True)
    membership = tmp_path / "membership"
    membership.write_text("0::/site/web\n")
    limits = {"root": tmp_path / "cgroup", "membership": membership}
    assert memory.memory_limit(**limits) == psutil.virtual_memory().total
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("268435456\n")
    assert memory.memory_limit(**limits) == 256 * 1024**2
    membership.write_text("4:cpu:/\n7:memory:/site\n")
    (tmp_path / "cgroup" / "memory" / "site").mkdir(parents=True)
    (tmp_path / "cgroup" / "memory" / "site" / "memory.limit_in_bytes").write_text("1048576\n")
    assert memory.memory_limit(**limits) == 1024**2


def test_it_calls_memory_short_near_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_limit", lambda: int(memory.group_memory() / 0.95))
    assert memory.memory() == "degraded"
    monkeypatch.setattr(memory, "memory_limit", lambda: memory.group_memory() * 4)
    assert memory.memory() == "ok"


def test_it_tells_full_from_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise psycopg.OperationalError("FATAL:  sorry, too many clients already")

    probe = DatabaseProbe()
    monkeypatch.setattr("telemetry.observe.probe.connect", full)
    assert probe.check().reason == "full"
