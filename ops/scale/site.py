"""Several web nodes and task workers on one database, as in production: HTTPS at nginx, PgBouncer before PostgreSQL."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from harness.stack import BASE_DIR, Stack, free_port, wait_for
from ops.scale.network import Place, network
from ops.scale.servers import nginx, pgbouncer

HOST = "shop.example"
THREADS = 4
SERVER_CONNECTIONS = 6
"""To PostgreSQL, for all web nodes together: half as many as they have threads."""


@dataclass
class Node(Stack):
    """One web node: a process group of its own, which `die` kills at once."""

    place: Place = field(default_factory=lambda: Place("", 0, 0))

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a process of this node in its place, its output in NAME.log."""
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self.place.command, sys.executable, "-m", *command],
                cwd=BASE_DIR,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def die(self) -> None:
        """SIGKILL for every process of the node, as when its machine loses power."""
        os.killpg(self.web.pid, signal.SIGKILL)
        self.web.wait()

    def revive(self) -> None:
        """Start the node again and wait until it answers."""
        self.web = self.start("web", "gunicorn")
        wait_for("the node to answer", lambda: _answers(self), 60)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels. Raises OSError when the node is dead."""
        _, text = self.get(self.metrics_url)
        pattern = re.compile(rf"^{name}(?:{{(.*)}})? (\S+)$", re.MULTILINE)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(value) for found, value in pattern.findall(text) if all(each in found for each in wanted))


@dataclass
class Site:
    """`url` leads to nginx, `database_url` to PostgreSQL itself, `pooled_url` through PgBouncer."""

    directory: Path
    address: str
    port: int
    database_url: str
    pooled_url: str
    nodes: list[Node]
    workers: list[Stack]
    access_log: Path
    namespaces: bool

    @property
    def proxied(self) -> list[dict[str, Any]]:
        """nginx's line for every request so far."""
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]


@contextmanager
def scaled_out(
    directory: Path, database_url: str, *, nodes: int = 3, workers: int = 2, env: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """Start everything on a migrated database, and stop it. `directory` must be new."""
    directory.mkdir(parents=True, exist_ok=True)
    _limit_statements(database_url)
    with ExitStack() as running:
        laid = running.enter_context(network(nodes))
        pooled = running.enter_context(
            pgbouncer(directory / "pgbouncer", laid.gateway, free_port(), database_url, SERVER_CONNECTIONS)
        )
        common = {
            **os.environ,
            "ENVIRONMENT": "production",
            "SECRET_KEY": "several-nodes-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ",
            "ALLOWED_HOSTS": HOST,
            "SITE_URL": f"https://{HOST}",
            "RELEASE": "scale",
            "TRUSTED_PROXIES": laid.gateway,
            "EMAIL_URL": f"file:///{directory / 'emails'}",
            "DATABASE_URL": pooled,
            "DATABASE_DIRECT_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "xfhandyman.settings",
            "PYTHONUNBUFFERED": "1",
            # The load comes from one address.
            **{f"UNPROVEN_BOOKINGS_PER_{whose}": "1000000" for whose in ("ADDRESS", "CLIENT")},
            **{f"RATE_LIMIT_{name}": "1000000/s 1000000/s" for name in ("BOOKING", "AVAILABILITY")},
            **(env or {}),
        }
        web = [
            running.enter_context(_node(directory / f"node{n}", place, common)) for n, place in enumerate(laid.places)
        ]
        tasks = [running.enter_context(_worker(directory / f"worker{n}", common)) for n in range(workers)]
        for node in web:
            wait_for("a node to answer", lambda node=node: _answers(node), 60)  # type: ignore[misc] # bound now
        port = free_port()
        log = running.enter_context(nginx(directory / "nginx", laid.gateway, port, laid.places, name=HOST))
        try:
            yield Site(directory, laid.gateway, port, database_url, pooled, web, tasks, log, laid.namespaces)
        finally:  # all at once, so that they stop side by side
            for process in (process for each in (*web, *tasks) for process in each.processes):
                process.terminate()


def _limit_statements(database_url: str) -> None:
    """What docs/scaling.md asks for behind a pooler; `manage.py check --database default` insists on it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        found = connection.execute("SELECT current_user, current_database()").fetchone()
        role, name = map(sql.Identifier, found or ("", ""))
        connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} SET statement_timeout = '15s'").format(role, name))


@contextmanager
def _node(directory: Path, place: Place, common: dict[str, str]) -> Iterator[Node]:
    directory.mkdir()
    env = common | {
        "PORT": str(place.port),
        "METRICS_HOST": place.address,
        "METRICS_PORT": str(place.metrics_port),
        "WEB_CONCURRENCY": "1",
        "WEB_THREADS": str(THREADS),
    }
    url, metrics_url = (f"http://{place.address}:{port}" for port in (place.port, place.metrics_port))
    node = Node(directory, env, url, f"{metrics_url}/metrics", None, place=place)  # type: ignore[arg-type] # set next
    try:
        node.web = node.start("web", "gunicorn")
        yield node
    finally:
        with suppress(ProcessLookupError):
            os.killpg(node.web.pid, signal.SIGTERM)
        node.stop()
        with suppress(ProcessLookupError):
            os.killpg(node.web.pid, signal.SIGKILL)


@contextmanager
def _worker(directory: Path, common: dict[str, str]) -> Iterator[Stack]:
    """A task worker that looks for work every ten minutes: in time only when PostgreSQL's NOTIFY reaches it."""
    directory.mkdir()
    env = common | {"METRICS_PORT": str(free_port()), "WORKER_METRICS_PORT": str(free_port())}
    worker = Stack(directory, env, "", "", None)  # type: ignore[arg-type] # it has no web process
    try:
        worker.worker = worker.start(
            "worker", "manage", "procrastinate", "worker", "--fetch-job-polling-interval", "600"
        )
        yield worker
    finally:
        worker.stop()


def _answers(node: Node) -> bool:
    if node.web.poll() is not None:
        raise RuntimeError(f"gunicorn ended:\n{node.log_text}")
    with suppress(OSError):
        return node.get("/livez", timeout=2)[0] == 200
    return False
