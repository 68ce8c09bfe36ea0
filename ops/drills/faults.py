"""Faults around the application: in the database, in the network, among processes, in the customers' browsers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import psycopg
from psycopg import sql

from ops.drills.crowd import crowd
from ops.drills.customers import PAGES, customer
from ops.drills.scene import Scene


@contextmanager
def nothing(scene: Scene) -> Iterator[None]:
    """No fault at all: ten healthy minutes."""
    scene.customers.ended.wait(600)
    yield


@contextmanager
def lock(scene: Scene) -> Iterator[None]:
    """Another session locks the booking table."""
    with _session(scene) as session:
        session.execute("LOCK TABLE bookings_booking IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def another_lock(scene: Scene) -> Iterator[None]:
    """Another session locks the table of services: a rule that knows one table alone would blame the wrong query."""
    with _session(scene) as session:
        session.execute("LOCK TABLE bookings_service IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def lock_on_tasks(scene: Scene) -> Iterator[None]:
    """Another session locks the table of tasks, which bookings and the task worker need."""
    with _session(scene) as session:
        session.execute("LOCK TABLE procrastinate_jobs IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def slow_query(scene: Scene) -> Iterator[None]:
    """Reading the table of working hours takes three seconds: a view that sleeps has taken its place."""
    table, hidden = sql.Identifier("bookings_workinghours"), sql.Identifier("bookings_workinghours_fast")
    with psycopg.connect(scene.database_url, autocommit=True) as session:
        with session.transaction():
            session.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(table, hidden))
            session.execute(
                sql.SQL(
                    "CREATE VIEW {} AS WITH slept AS MATERIALIZED (SELECT pg_sleep(3)) SELECT {}.* FROM {}, slept"
                ).format(table, hidden, hidden)
            )
        try:
            yield
        finally:
            with session.transaction():
                session.execute(sql.SQL("DROP VIEW {}").format(table))
                session.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(hidden, table))


@contextmanager
def transaction_left_open(scene: Scene) -> Iterator[None]:
    """Another session has locked every service's row and idles in its transaction: nobody can finish a booking."""
    with _session(scene) as session:
        session.execute("SELECT * FROM bookings_service FOR UPDATE")
        yield


@contextmanager
def _session(scene: Scene) -> Iterator[psycopg.Connection]:
    """A session of its own, whose transaction is rolled back at the end."""
    with psycopg.connect(scene.database_url) as session:
        try:
            yield session
        finally:
            session.rollback()


@contextmanager
def database_down(scene: Scene) -> Iterator[None]:
    """The database server is stopped."""
    scene.database.stop()
    try:
        yield
    finally:
        scene.database.start()


@contextmanager
def database_frozen(scene: Scene) -> Iterator[None]:
    """The database server hangs: every process of it is stopped, and connections wait for ever."""
    postmaster = psutil.Process(int((scene.directory / "pg" / "postmaster.pid").read_text().split()[0]))
    frozen = [postmaster, *postmaster.children(recursive=True)]
    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


@contextmanager
def database_read_only(scene: Scene) -> Iterator[None]:
    """The database takes no more writes, as a standby does."""
    with psycopg.connect(scene.database_url, autocommit=True) as session:
        session.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        session.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            session.execute("SET default_transaction_read_only = off")
            session.execute("ALTER SYSTEM RESET default_transaction_read_only")
            session.execute("SELECT pg_reload_conf()")


@contextmanager
def surge(scene: Scene) -> Iterator[None]:
    """Many times the usual visitors."""
    with crowd(f"{scene.site.url}/services/", clients=32):
        yield


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
def web_worker_killed(scene: Scene) -> Iterator[None]:
    """One gunicorn worker gets SIGKILL, as the kernel does when memory runs out."""
    os.kill(psutil.Process(scene.site.web.pid).children()[0].pid, signal.SIGKILL)
    yield


@contextmanager
def web_worker_frozen(scene: Scene) -> Iterator[None]:
    """One gunicorn worker is stopped; gunicorn replaces it after half a minute."""
    worker = psutil.Process(scene.site.web.pid).children()[0]
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(signal.SIGCONT)


@contextmanager
def task_worker_frozen(scene: Scene) -> Iterator[None]:
    """The process that runs background tasks is frozen."""
    worker = scene.site.worker
    assert worker is not None  # noqa: S101 - the stage always has one
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


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


@contextmanager
def bookings_stop(scene: Scene) -> Iterator[None]:
    """Everybody opens the booking pages and nobody books any more; there is no error anywhere."""
    scene.customers.only_looking.set()
    try:
        yield
    finally:
        scene.customers.only_looking.clear()
