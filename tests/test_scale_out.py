"""Three web nodes behind nginx, PgBouncer in transaction mode, two task workers."""

import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.scale.customers import Client, book_all, free_windows
from ops.scale.servers import missing
from ops.scale.site import HOST, SERVER_CONNECTIONS, THREADS, Site, scaled_out
from tests.conftest import copied_database
from tests.stack import BASE_DIR, manage, wait_for

pytestmark = [
    pytest.mark.waits,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}"),
]
WINDOWS, RIVALS = 40, 2
GUESSES = 5  # at booking links, an hour and client


@pytest.fixture(scope="module")
def site(demo_template: str, static_files: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as running:
        url = running.enter_context(copied_database(demo_template))
        env = {"RATE_LIMIT_LINK": f"{GUESSES}/h 1000/h"}
        yield running.enter_context(scaled_out(tmp_path_factory.mktemp("scale"), url, env=env))


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


def test_it_loses_no_booking_and_makes_none_twice_when_a_node_dies(site: Site) -> None:
    windows = free_windows(site, WINDOWS)
    assert len(windows) == WINDOWS
    victim, living = site.nodes[1], [site.nodes[0], site.nodes[2]]

    def strike(number: int) -> None:
        if number == WINDOWS // 3:
            victim.die()

    answers = book_all(site, windows, rivals=RIVALS, customers=12, booked=strike)

    # Every customer was told something in the end, and of the rivals for a window one was told that it is theirs.
    assert Counter(answer.status for answer in answers) == {302: WINDOWS, 409: WINDOWS * (RIVALS - 1)}
    won = [answer for answer in answers if answer.status == 302]
    assert Counter(answer.window for answer in won) == dict.fromkeys(windows, 1)
    assert any("502" in line["upstream_status"] for line in site.proxied), "the death was not in the middle of it"

    ours = "customer_email LIKE 'scale%@example.com'"
    booked = rows(site, f"SELECT customer_email, status FROM bookings_booking WHERE {ours}")
    assert sorted(booked) == sorted((answer.email, "confirmed") for answer in won)
    overlaps = (
        "SELECT count(*) FROM bookings_booking a JOIN bookings_booking b ON a.handyman_id = b.handyman_id"
        " AND a.id < b.id AND a.during && b.during"
        " WHERE a.status IN ('held', 'confirmed') AND b.status IN ('held', 'confirmed')"
    )
    assert rows(site, overlaps) == [(0,)]

    # Counters of the living say exactly what nginx saw of them; with the dead node's log they add up to the rows.
    def settled() -> bool:
        sent = Counter(line["upstream"].split(", ")[-1] for line in site.proxied if line["method"] == "POST")
        return all(
            node.metric("http_requests_total", method="POST") == sent[f"{node.place.address}:{node.place.port}"]
            for node in living
        )

    wait_for("the living nodes' counters to equal nginx's lines", settled, 30)
    counted = sum(node.metric("bookings_created_total") for node in living)
    told = len(victim.log_events("booking_created"))
    assert WINDOWS - THREADS <= counted + told <= WINDOWS, "more than one lost line for each thread that died"

    # No form reached two nodes unless the customer sent it again (each sending has a request id of nginx's).
    lines = [line for node in site.nodes for line in node.log_events("request_finished") if line["method"] == "POST"]
    assert [each for each, times in Counter(line["request_id"] for line in lines).items() if times > 1] == []

    # One e-mail for each, from two workers whom only NOTIFY wakes in time.
    def letters() -> list[str]:
        texts = [path.read_text() for path in (site.directory / "emails").glob("*")]
        found = [line for text in texts for line in text.splitlines() if line.startswith("Message-ID:")]
        return found if len(found) >= WINDOWS else []

    assert len(wait_for("an e-mail for each booking", letters, 60)) == WINDOWS
    assert len(set(letters())) == WINDOWS

    # All of it over fewer connections to PostgreSQL than the nodes and workers hold to the pooler.
    servers, clients = pooler(site, "SHOW SERVERS"), pooler(site, "SHOW CLIENTS")
    assert 0 < len(servers) <= SERVER_CONNECTIONS < len(clients), (servers, clients)

    # The node comes back and takes its share again.
    victim.revive()

    def shares() -> bool:
        client = Client(site)
        client.ask("GET", "/services/")
        client.close()
        return victim.metric("http_requests_total", route="/services/") > 0

    wait_for("the node to be used again", shares, 60)
