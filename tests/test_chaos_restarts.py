"""Deploys: a restart under load fails no request, and a stop finishes what it holds."""

import os
import signal
import threading
import urllib.error
from collections.abc import Callable

import psutil
import psycopg
import pytest

from harness.stack import Stack, wait_for
from ops.chaos.load import Load, details, hidden_fields, visitor

ENVIRONMENT = {"TRUSTED_PROXIES": "127.0.0.1", "BOOKING_HORIZON_DAYS": "366"}
READ = ("/", "/livez", "/services/", "/privacy/", "/readyz")


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


def workers(pid: int) -> set[int]:
    """The processes that serve for an arbiter; not another arbiter that it made way for."""
    return {child.pid for child in children(pid) if not children(child.pid)}


@pytest.mark.waits
def test_it_fails_no_request_through_restarts(stack: Callable[..., Stack]) -> None:
    site = stack(env=ENVIRONMENT, workers=2, threads=4)
    arbiter = site.web.pid
    with Load(site.url, ["shelves", "tap-repair", "tv-mounting"], pages=READ) as load:

        def served() -> None:
            before = len(load.acknowledged_at)
            wait_for("bookings", lambda: len(load.acknowledged_at) >= before + 4, 60)

        served()
        old = workers(arbiter)
        os.kill(arbiter, signal.SIGHUP)  # fresh workers of the same code
        wait_for("new workers alone", lambda: len(workers(arbiter)) == 2 and not old & workers(arbiter), 60)
        served()
        os.kill(arbiter, signal.SIGUSR2)  # new settings or code: a new arbiter on the same socket
        successor = wait_for(
            "a second arbiter", lambda: [each for each in children(arbiter) if children(each.pid)], 60
        )[0]
        wait_for("its workers", lambda: len(children(successor.pid)) == 2, 60)
        try:
            served()
            os.kill(arbiter, signal.SIGTERM)
            site.web.wait(60)
            served()
        finally:
            family = [*children(successor.pid), successor]
            load.end()
            successor.terminate()
            psutil.wait_procs(family, 30)
    assert not load.booking.failures
    assert not load.reading.failures
    assert all(order.outcome in ("acknowledged", "refused") for order in load.orders)
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        kept = connection.execute("SELECT customer_email FROM bookings_booking WHERE customer_email LIKE 'chaos%'")
        told = [order.email for order in load.orders if order.outcome == "acknowledged"]
        assert sorted(email for (email,) in kept) == sorted(told)


def test_it_finishes_a_slow_booking_when_it_is_told_to_stop(stack: Callable[..., Stack]) -> None:
    site = stack(env=ENVIRONMENT, workers=2, threads=4)
    answers: list[tuple[int, str]] = []

    def book() -> None:
        with visitor(1) as session:
            week = session.get(f"{site.url}/api/availability?service=shelves").json()
            path = f"{site.url}/book/shelves/details/"
            form = hidden_fields(session.get(path, params={"start": week["next_free"]}).text) | details(
                "chaos1@example.com"
            )
            ready.set()
            go.wait(60)
            answer = session.post(path, form, headers={"Referer": site.url}, allow_redirects=False, timeout=60)
            answers.append((answer.status_code, answer.headers.get("Location", "")))

    ready, go = threading.Event(), threading.Event()
    customer = threading.Thread(target=book, daemon=True)
    customer.start()
    assert ready.wait(60)
    with psycopg.connect(site.env["DATABASE_URL"]) as other:
        other.execute("LOCK TABLE bookings_booking IN ACCESS EXCLUSIVE MODE")
        go.set()
        with psycopg.connect(site.env["DATABASE_URL"], autocommit=True) as watching:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'bookings_booking'::regclass"
            wait_for("the booking to wait", lambda: (watching.execute(waits).fetchone() or (0,))[0], 30)
        site.web.terminate()
        wait_for("connections to be refused", lambda: _refuses(site), 15)  # so that a proxy asks another node
        assert site.web.poll() is None
    customer.join(30)
    assert answers[0][0] == 302
    assert answers[0][1].endswith("/confirmed/")
    assert site.web.wait(30) == 0


def _refuses(site: Stack) -> bool:
    try:
        site.get("/livez", timeout=2)
    except urllib.error.URLError as error:
        return isinstance(error.reason, ConnectionRefusedError)
    except OSError:
        return False
    return False
