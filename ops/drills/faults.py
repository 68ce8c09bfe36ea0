"""The faults. Each is injected from outside the application and lasts as long as its block."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import psutil
import psycopg
import requests

from ops.drills.scene import Scene, release_beside


@dataclass(frozen=True, slots=True)
class Drill:
    """A fault, and what must be said of it: the alert, and words that name cause and component."""

    fault: Callable[[Scene], AbstractContextManager[None]]
    alert: str
    words: tuple[str, ...]
    resolves: bool = True


@contextmanager
def lock(scene: Scene) -> Iterator[None]:
    """Another session locks the booking table."""
    with psycopg.connect(scene.database_url) as session:
        session.execute("LOCK TABLE bookings_booking IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def another_lock(scene: Scene) -> Iterator[None]:
    """Another session locks the catalogue: a rule that knows only one table would blame the wrong query."""
    with psycopg.connect(scene.database_url) as session:
        session.execute("LOCK TABLE bookings_service IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def database_down(scene: Scene) -> Iterator[None]:
    """The database server is stopped."""
    scene.database.stop()
    try:
        yield
    finally:
        scene.database.start()


@contextmanager
def surge(scene: Scene) -> Iterator[None]:
    """Many times the usual visitors."""
    over = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            while not over.is_set():
                with suppress(requests.RequestException):
                    session.get(scene.site.url + "/services/", timeout=20)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(32)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


@contextmanager
def mail_down(scene: Scene) -> Iterator[None]:
    """The mail server refuses connections."""
    scene.mail.stop()
    try:
        yield
    finally:
        scene.mail.start()


@contextmanager
def collector_silent(scene: Scene) -> Iterator[None]:
    """The OTLP collector takes connections and never answers."""
    scene.collector.silent.set()
    try:
        yield
    finally:
        scene.collector.silent.clear()


@contextmanager
def web_worker_killed(scene: Scene) -> Iterator[None]:
    """One gunicorn worker gets SIGKILL, as the kernel does when memory runs out."""
    os.kill(psutil.Process(scene.site.web.pid).children()[0].pid, signal.SIGKILL)
    yield


@contextmanager
def task_worker_stopped(scene: Scene) -> Iterator[None]:
    """The process that runs background tasks is frozen."""
    worker = scene.site.worker
    assert worker is not None  # noqa: S101 - the stage always has one
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


@contextmanager
def bad_release(scene: Scene) -> Iterator[None]:
    """A release beside the good one, one page of which fails."""
    over = threading.Event()
    with release_beside(scene, "1.1", "tests.broken.settings") as url:

        def ask() -> None:
            while not over.wait(0.5):
                with suppress(requests.RequestException):
                    requests.get(f"{url}/broken/raise/taps/", timeout=20)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(30)


@contextmanager
def nothing(scene: Scene) -> Iterator[None]:
    """No fault at all: one healthy minute."""
    time.sleep(60)
    yield


DRILLS: dict[str, Drill] = {
    "healthy": Drill(nothing, "", ()),
    "lock": Drill(lock, "DatabasePoolExhausted", ("high latency", "`SELECT bookings_booking`")),
    "another-lock": Drill(another_lock, "DatabasePoolExhausted", ("high latency", "`SELECT bookings_service`")),
    "database-down": Drill(database_down, "DatabaseDown", ("database is down", "refused")),
    "surge": Drill(surge, "DatabasePoolExhausted|RequestThreadsSaturated", ("surge", "/services/")),
    "bad-release": Drill(bad_release, "HttpErrorBurst", ("/broken/raise/", "release 1.1", "which is new")),
    "mail-down": Drill(mail_down, "EmailsFailing", ("E-mails", "mail server")),
    "otlp-black-hole": Drill(collector_silent, "TelemetryDropped", ("traces",)),
    "task-worker-frozen": Drill(task_worker_stopped, "TargetMissing", ("worker process",)),
    "web-worker-killed": Drill(web_worker_killed, "WebWorkerDied", ("killed",)),
}
