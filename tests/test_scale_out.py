"""Three web nodes behind nginx, PgBouncer in transaction mode, two task workers."""

import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness.stack import BASE_DIR, manage, wait_for
from ops.scale.customers import Client
from ops.scale.servers import missing
from ops.scale.site import HOST, THREADS, Site, scaled_out
from tests.conftest import copied_database

pytestmark = [
    pytest.mark.waits,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}"),
]
GUESSES = 5  # at booking links, an hour and client


@pytest.fixture(scope="module")
def site(demo_template: str, static_files: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with started(demo_template, tmp_path_factory.mktemp("scale")) as site:
        yield site


@contextmanager
def started(template: str, directory: Path) -> Iterator[Site]:
    with ExitStack() as running:
        url = running.enter_context(copied_database(template))
        env = {"RATE_LIMIT_LINK": f"{GUESSES}/h 1000/h"}
        yield running.enter_context(scaled_out(directory, url, env=env))


def rows(site: Site, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(site.database_url) as connection:
        return connection.execute(query).fetchall()


def pooler(site: Site, question: str) -> list[dict[str, Any]]:
    """The answer of PgBouncer's console."""
    address = site.pooled_url.rpartition("/")[0] + "/pgbouncer"
    with psycopg.connect(address, autocommit=True, row_factory=psycopg.rows.dict_row) as console:
        return console.execute(question).fetchall()


def test_it_spreads_the_load_and_believes_no_client(site: Site) -> None:
    client, seen = Client(site), set()
    lies = {
        "X-Request-ID": "chosen-by-the-client",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "evil.example",
    }
    before = [node.metric("http_requests_total", route="/services/") for node in site.nodes]
    for _ in range(60):
        status, response, text = client.ask("GET", "/services/", **lies)
        assert status == 200, text
        assert "evil.example" not in text
        seen.add(response.getheader("X-Request-ID"))
    client.close()
    assert len(seen) == 60
    assert "chosen-by-the-client" not in seen
    assert response.getheader("Strict-Transport-Security"), "the nodes know that customers come over HTTPS"

    def answered() -> list[float]:
        now = [node.metric("http_requests_total", route="/services/") for node in site.nodes]
        return [after - since for after, since in zip(now, before, strict=True)]

    wait_for("every answer to be counted", lambda: sum(answered()) == 60, 30)
    assert min(answered()) >= 10, answered()


def test_it_limits_a_client_across_all_nodes(site: Site) -> None:
    client = Client(site)
    asked = [client.ask("GET", f"/bookings/guess{n}/", **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(12)]
    client.close()
    assert Counter(status for status, _, _ in asked) == {404: GUESSES, 429: len(asked) - GUESSES}
    used = {line["upstream"] for line in site.proxied[-len(asked) :]}
    assert len(used) > 1, "one node alone would prove nothing"


def test_it_loses_nothing_to_a_pooler_in_transaction_mode(site: Site, tmp_path: Path) -> None:
    env = site.nodes[0].env
    done = subprocess.run(
        [sys.executable, "-m", "tests.pooled"], cwd=BASE_DIR, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["statement_timeout", "15s", "done"], done.stdout + done.stderr
    manage("check", "--database", "default", env=env)
    assert "tables" in manage("backup", str(tmp_path / "backups"), env=env)


def test_it_refuses_a_release_whose_queries_no_time_out_would_end(site: Site) -> None:
    env = {**site.nodes[0].env, "DATABASE_URL": site.database_url}  # a way past the role's setting of this pooler
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER ROLE CURRENT_USER IN DATABASE "{name}" RESET statement_timeout')
        try:
            command = [sys.executable, "manage.py", "check", "--database", "default"]
            done = subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, timeout=120)
        finally:
            connection.execute(f'ALTER ROLE CURRENT_USER IN DATABASE "{name}" SET statement_timeout = 15000')
    assert done.returncode == 1
    assert "ALTER ROLE" in done.stderr


def test_it_keeps_slow_clients_off_the_nodes(site: Site) -> None:
    context = ssl._create_unverified_context()
    with ExitStack() as slow:
        for _ in range(3 * THREADS * len(site.nodes)):
            plain = socket.create_connection((site.address, site.port), 10)
            sending = slow.enter_context(context.wrap_socket(plain, server_hostname=HOST))
            head = f"POST /contact/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n"
            sending.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\nbody=".encode())
        client = Client(site)
        for _ in range(9):
            assert client.ask("GET", "/privacy/")[0] == 200
        client.close()
        assert sum(node.metric("http_requests_in_progress") for node in site.nodes) == 0


def test_it_does_a_scheduled_task_once(site: Site) -> None:
    """Two workers start within a minute; each defers what has been due since the last minute began."""
    done = "SELECT 1 FROM procrastinate_jobs WHERE task_name = 'release_expired_holds' AND status = 'succeeded'"
    wait_for("a scheduled task", lambda: rows(site, done), 90)
    started = [worker.log_events("start_worker") for worker in site.workers]
    assert all(started), "both workers run"
    jobs = "SELECT task_name, args, count(*) FROM procrastinate_jobs WHERE args ? 'timestamp'"
    twice = f"{jobs} GROUP BY 1, 2 HAVING count(*) > 1"
    assert rows(site, twice) == []
