"""Fixtures that many tests share: databases, the running site, the browser."""

import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import psutil
import psycopg
import pytest
import structlog
from django.conf import settings
from django.db import connection
from hypothesis import settings as examples
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django import DjangoDbBlocker

from bookings import events
from bookings.ratelimit.rates import Limit, Purpose
from harness.chromium import ARGUMENTS, installed
from harness.stack import Stack, manage, running_stack
from tests.lines import Lines
from xfhandyman import process_tree

pytest_plugins = ["tests.fixtures"]
_numbers = count()

# Playwright's synchronous interface keeps an event loop in this thread, which Django takes for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


# How long one example takes says more of the machine than of the code.
examples.register_profile("ours", deadline=None, print_blob=True)
examples.load_profile("ours")

_SITES = {"stack", "demo_database", "demo_template", "chromium", "page"}
"""Fixtures that start a site or a browser, or copy a database for one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-site", action="store_true", help="leave out tests that start a site or a browser")


def pytest_configure(config: pytest.Config) -> None:
    """A signal ends the tests with every server they have started; so does, for xdist's workers, the end of pytest."""
    process_tree.lead(clean_up=False)
    os.environ["DJANGO_SETTINGS_MODULE"] = "xfhandyman.settings"  # of every process that a test starts
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C: pytest tears down and sums up
    if hasattr(config, "workerinput"):
        process_tree.end_with_parent()


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Other work on the machine only ever adds time: a bound that holds in one of three tries holds. A race never does.

    Who wins a race must not matter: what is wrong once is wrong.
    """
    if config.getoption("--no-site"):
        items[:] = [item for item in items if not _SITES & set(getattr(item, "fixturenames", ()))]
    for item in items:
        if item.get_closest_marker("race"):
            item.add_marker(pytest.mark.flaky(reruns=0))
        if item.get_closest_marker("timing"):
            if not item.get_closest_marker("waits"):
                item.add_marker("alone")
            item.add_marker(pytest.mark.flaky(reruns=2))
    long = {item.path for item in items if _SITES & set(getattr(item, "fixturenames", ()))}
    long |= {item.path for item in items if item.get_closest_marker("race")}
    items.sort(key=lambda item: item.path not in long)  # so that short files fill the gaps at the end


def _create(name: str, template: str) -> str:
    """Make a database from a template and return its URL."""
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    server, _, options = url.partition("?")
    return server.rpartition("/")[0] + f"/{name}" + (f"?{options}" if options else "")


@pytest.fixture(autouse=True)
def no_jobs_left(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Empty the queue after a test that committed: its tables are unmanaged, so not flushed with the rest."""
    yield
    database = request.node.get_closest_marker("django_db")
    if database is not None and database.kwargs.get("transaction"):
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE procrastinate_jobs CASCADE")


@pytest.fixture(scope="session")
def demo_template() -> Iterator[str]:
    """The name of a migrated database that holds the demo business, to be copied."""
    _drop_orphans()
    name = f"xf_demo_{os.getpid()}"
    url = _create(name, "template0")
    for command in (["migrate"], ["demo", "--empty"]):
        manage(*command, env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"})
    yield name
    _drop(name)


def _drop(name: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _drop_orphans() -> None:
    """Drop what runs of tests that were killed have left: each database has its run's process id in its name."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        names = [row[0] for row in connection.execute(r"SELECT datname FROM pg_database WHERE datname ~ '^xf_\D*\d+'")]
    for name in names:
        if not psutil.pid_exists(int(re.findall(r"\d+", name)[0])):
            _drop(name)


@contextmanager
def copied_database(template: str) -> Iterator[str]:
    """The URL of a fresh copy of a database, dropped at the end."""
    name = f"xf_{os.getpid()}_{next(_numbers)}"
    yield _create(name, template)
    _drop(name)


@pytest.fixture
def demo_database(demo_template: str) -> Iterator[str]:
    """The URL of a fresh database with the demo business in it, dropped after the test."""
    with copied_database(demo_template) as url:
        yield url


@pytest.fixture(scope="session")
def static_files() -> None:
    """Build and collect the static files as a release does, when any of them is newer than the last time."""
    # One process at a time: the others find it done.
    with (settings.BASE_DIR / "build.mjs").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _build_static_files()


def _build_static_files() -> None:
    static = settings.BASE_DIR / "static"
    telemetry = settings.BASE_DIR / "telemetry" / "static" / "telemetry"
    sources = [settings.BASE_DIR / "build.mjs", *static.glob("[cj]s*/**/*"), *(telemetry / "src").iterdir()]
    built = [path.stat().st_mtime for path in (settings.BASE_DIR / "sourcemaps").glob("*.map")]
    if any(path.stat().st_mtime > max(built, default=0) for path in sources):
        subprocess.run([Path(sys.executable).with_name("node"), "build.mjs"], cwd=settings.BASE_DIR, check=True)
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    collected = manifest.stat().st_mtime if manifest.exists() else 0
    if any(path.stat().st_mtime > collected for path in (*static.rglob("*"), telemetry / "rum.js")):
        manage("collectstatic", "--noinput", env={**os.environ, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"})


@pytest.fixture
def stack(demo_database: str, static_files: None, tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Start the site: `site = stack(env={...}, workers=2, threads=4, worker=True)`; ended after the test."""
    with ExitStack() as running:

        def start(**options: object) -> Stack:
            directory = tmp_path / f"stack{next(_numbers)}"
            directory.mkdir()
            return running.enter_context(running_stack(directory, demo_database, **options))  # type: ignore[arg-type] # passed through

        yield start


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged during the test."""
    taken, processors = Lines(), structlog.get_config()["processors"]
    processors.insert(-1, taken)  # in place: loggers that are in use share the list
    yield taken
    processors.remove(taken)


@pytest.fixture
def limited(settings: pytest.FixtureRequest) -> Callable[[Purpose, Limit], None]:
    """Set one limit for the length of a test."""

    def change(purpose: Purpose, to: Limit) -> None:
        settings.RATE_LIMITS = {**settings.RATE_LIMITS, purpose.value: to}  # type: ignore[attr-defined]  # pytest-django's settings

    return change


@pytest.fixture
def heard() -> Iterator[list[events.Event]]:
    """The events of the business published so far."""
    heard: list[events.Event] = []

    def listen(event: events.Event, **_: object) -> None:
        heard.append(event)

    events.occurred.connect(listen)
    yield heard
    events.occurred.disconnect(listen)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a browser context of its own, 390 × 844 px; a wait fails after 10 s."""
    with chromium.new_context(viewport={"width": 390, "height": 844}, locale="en-GB") as context:
        context.set_default_timeout(10_000)
        yield context.new_page()
