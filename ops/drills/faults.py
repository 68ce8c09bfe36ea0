"""Faults around the application: on its pages, in the network, among processes, in the customers' browsers."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil

from ops.drills.customers import PAGES, customer
from ops.drills.database import Fault
from ops.drills.load import load
from ops.drills.processes import paused
from ops.drills.scene import Scene


def page(*faults: tuple[str, str]) -> Fault:
    """Pages (or tasks), by route, go wrong as `tests.broken.faults` can."""

    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        scene.page_faults.write_text("\n".join(" ".join(each) for each in faults))
        try:
            yield
        finally:
            scene.page_faults.write_text("")

    return fault


def surge(*paths: str, clients: int = 32) -> Fault:
    """Many times the usual visitors."""

    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        with ExitStack() as stack:
            for path in paths:
                stack.enter_context(load(scene.site.url + path, clients=clients // len(paths)))
            yield

    return fault


@contextmanager
def processors_taken(scene: Scene) -> Iterator[None]:
    """Another program of the host computes on every processor."""
    hogs = [multiprocessing.Process(target=_compute, daemon=True) for _ in range(3 * (os.cpu_count() or 1))]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.join()


@contextmanager
def nothing(scene: Scene) -> Iterator[None]:
    """No fault at all."""
    yield


@contextmanager
def growing(scene: Scene) -> Iterator[None]:
    """More and more customers over five minutes, as on a morning."""
    with ExitStack() as stack:
        for number in range(10):
            page = PAGES[number % 3]
            stack.enter_context(load(scene.site.url + page, pause=1.0))
            time.sleep(30)
        yield


def _compute() -> None:
    os.setpgrp()
    until = time.monotonic() + 90
    while time.monotonic() < until:
        sum(range(10_000))


def both(*faults: Fault) -> Fault:
    """Several at once."""

    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        with ExitStack() as stack:
            for each in faults:
                stack.enter_context(each(scene))
            yield

    return fault


@contextmanager
def mail_down(scene: Scene) -> Iterator[None]:
    """The mail server refuses connections."""
    scene.mail.stop()
    try:
        yield
    finally:
        scene.mail.start()


@contextmanager
def mail_silent(scene: Scene) -> Iterator[None]:
    """The mail server takes connections and says nothing."""
    scene.mail.fall_silent()
    try:
        yield
    finally:
        scene.mail.start()


@contextmanager
def mail_slow(scene: Scene) -> Iterator[None]:
    """The mail server takes eight seconds for each e-mail."""
    scene.mail.seconds = 8.0
    try:
        yield
    finally:
        scene.mail.seconds = 0.0


@contextmanager
def stripe_down(scene: Scene) -> Iterator[None]:
    """Stripe refuses connections."""
    scene.stripe.refuse()
    try:
        yield
    finally:
        scene.stripe.recover()


@contextmanager
def stripe_silent(scene: Scene) -> Iterator[None]:
    """Stripe takes requests and never answers."""
    scene.stripe.fail("hang")
    try:
        yield
    finally:
        scene.stripe.recover()


@contextmanager
def collector_silent(scene: Scene) -> Iterator[None]:
    """The OTLP collector takes spans and never answers."""
    scene.collector.silent.set()
    try:
        yield
    finally:
        scene.collector.silent.clear()


@contextmanager
def sentry_down(scene: Scene) -> Iterator[None]:
    """Sentry refuses connections while one script fails once on each page."""
    scene.sentry.stop()
    try:
        with customer() as session:
            for page in PAGES:
                scene.customers.visit(session, page, fails=True)
        yield
    finally:
        scene.sentry.start()


@contextmanager
def web_workers_killed(scene: Scene) -> Iterator[None]:
    """gunicorn's workers get SIGKILL again and again, as the kernel does when memory runs out."""
    for _ in range(3):
        for worker in psutil.Process(scene.site.web.pid).children():
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        time.sleep(5)
    yield


@contextmanager
def web_worker_frozen(scene: Scene) -> Iterator[None]:
    """One gunicorn worker is stopped; gunicorn replaces it after half a minute."""
    with paused(psutil.Process(scene.site.web.pid).children()[:1]):
        yield


@contextmanager
def task_worker_frozen(scene: Scene) -> Iterator[None]:
    """The process that runs background tasks is frozen."""
    worker = scene.site.worker
    assert worker is not None  # noqa: S101 - the stage always has one
    with paused([psutil.Process(worker.pid)]):
        yield


@contextmanager
def script_fails(scene: Scene) -> Iterator[None]:
    """A script of the booking page fails in every browser."""
    pages = {f"/book/{slug}/" for slug in scene.customers.slugs}
    scene.customers.browsers.failing |= pages
    try:
        yield
    finally:
        scene.customers.browsers.failing -= pages


@contextmanager
def late_paint(scene: Scene) -> Iterator[None]:
    """The list of services paints after 3.3 s in every browser, which is not "poor" but twice last week's."""
    scene.customers.browsers.painted["/services/"] = 3.3
    try:
        yield
    finally:
        del scene.customers.browsers.painted["/services/"]
