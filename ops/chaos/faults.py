"""The faults. Each is injected from outside the application and is over when its block ends."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import requests

from harness.peers.faulty import Fault as PeerFault
from harness.stack import wait_for
from ops.chaos.load import hidden_fields, visitor
from ops.chaos.scene import Scene, kill_database, restart_database, restart_worker

BREAKS = frozenset({"reset"})
"""A killed web worker takes the answers it owes with it."""
REFUSALS = frozenset({"503"})


@dataclass(frozen=True)
class Fault:
    """A fault (which waits for nothing of the site's own recovery), and the classes of failed answers it may cause."""

    inject: Callable[[Scene], AbstractContextManager[None]]
    booking: frozenset[str] = frozenset()
    reading: frozenset[str] = frozenset()
    checks: list[Callable[[Scene], list[str]]] = field(default_factory=list)
    """Run while the fault lasts; what they say is wrong."""


@contextmanager
def postgres_killed(scene: Scene) -> Iterator[None]:
    """PostgreSQL is killed outright and started again 3 s later."""
    kill_database(scene.database)
    time.sleep(3)
    try:
        yield
    finally:
        restart_database(scene.database)


def plain_page_without_database(scene: Scene) -> list[str]:
    """Pages that need the database say so: 503, when to come back, and the phone number."""
    wrong = []
    for path in ("/", "/services/", "/services/tap-repair/", "/book/tap-repair/", "/sitemap.xml"):
        page = requests.get(scene.site.url + path, timeout=20)
        if page.status_code != 503 or "Retry-After" not in page.headers or "020 7946 0123" not in page.text:
            wrong.append(
                f"{path} without a database: {page.status_code}, Retry-After {page.headers.get('Retry-After')}"
            )
    return wrong


@contextmanager
def web_worker_killed(scene: Scene) -> Iterator[None]:
    """One gunicorn worker is killed, as when the machine's memory runs out."""
    os.kill(scene.web_workers()[0].pid, signal.SIGKILL)
    yield


@contextmanager
def task_worker_killed(scene: Scene) -> Iterator[None]:
    """The task worker is killed in the midst of its work, and started again 2 s later."""
    worker = scene.site.worker
    assert worker is not None  # noqa: S101 - the stage always has one
    worker.kill()
    worker.wait()
    time.sleep(2)
    yield
    restart_worker(scene.site)


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """The disk of temporary files (uploads) and of the metrics is full, and a web worker has to start on it."""
    with scene.disk.full(scene.web_processes()):
        before = {process.pid for process in scene.web_workers()}
        scene.web_workers()[0].terminate()
        wait_for("a new web worker", lambda: {process.pid for process in scene.web_workers()} - before, 30)
        time.sleep(3)
        yield


def photos_on_a_full_disk(scene: Scene) -> list[str]:
    """A message with a large photo gets a page that says what to do, and no 500."""
    with visitor(1) as session:
        form = session.get(f"{scene.site.url}/contact/", timeout=20)
        if form.status_code != 200:
            return [f"the contact form: {form.status_code}"]
        fields = hidden_fields(form.text) | {
            "topic": "question",
            "body": "My tap drips.",
            "name": "Chaos",
            "email": "chaos@example.org",
        }
        answer = session.post(
            f"{scene.site.url}/contact/",
            data=fields,
            files={"photos": ("tap.jpg", bytes(6 << 20), "image/jpeg")},
            headers={"Referer": scene.site.url},
            timeout=30,
        )
    return [] if answer.status_code in (422, 503) else [f"a photo on a full disk: {answer.status_code}"]


@contextmanager
def clock_jumps(scene: Scene) -> Iterator[None]:
    """The site's clock jumps 25 minutes ahead (less than a hold lasts), then as much behind, then to the true time."""
    for seconds in (1500, -1500):
        scene.clock.jump(seconds)
        time.sleep(6)
    yield
    scene.clock.jump(0)


def peer(name: str, kind: PeerFault) -> Callable[[Scene], AbstractContextManager[None]]:
    """The peer refuses connections, takes them and hangs, or answers garbage, for 6 s."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        with getattr(scene, name).being(kind):
            time.sleep(6)
            yield

    return inject


FAULTS: dict[str, Fault] = {
    "postgres-killed": Fault(postgres_killed, REFUSALS, frozenset(), [plain_page_without_database]),
    "web-worker-killed": Fault(web_worker_killed, BREAKS, BREAKS),
    "task-worker-killed": Fault(task_worker_killed),
    "disk-full": Fault(disk_full, checks=[photos_on_a_full_disk]),
    "clock-jumps": Fault(clock_jumps),
    **{
        f"{name}-{kind}": Fault(peer(name, kind))
        for name in ("smtp", "stripe", "otlp", "sentry")
        for kind in ("refuses", "hangs", "babbles")
    },
}
