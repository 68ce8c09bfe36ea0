"""What wears out slowly is found before it is an incident, and reported once a day."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django import app
from structlog.testing import capture_logs

from bookings.models import SentEmail, WaitlistEntry, WaitlistOffer
from telemetry import tickets
from telemetry.contrib.procrastinate import punctuality
from telemetry.diagnosis import incidents, slow_burn
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.slow_burn import Trends, runs_out
from telemetry.observe import pool
from telemetry.serve.caretaker import AGAIN, EVERY, Caretaker
from telemetry.tickets import Ticket
from tests import factories
from xfhandyman.wiring import tickets as ours
from xfhandyman.wiring import waitlist

DAY = 86_400.0
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("shares", "days"),
    [
        ([0.5 + 0.01 * day for day in range(10)], 50),
        ([0.5] * 10, None),
        ([0.5 + 0.05 * (day % 2) for day in range(10)], None),
        ([0.9 - 0.01 * day for day in range(10)], None),
        ([0.5], None),
    ],
)
def test_it_knows_the_day_on_which_something_runs_out(shares: list[float], days: int | None) -> None:
    found = runs_out([(NOW + DAY * day, share) for day, share in enumerate(shares)])
    assert (found is None) if days is None else found is not None and abs(found - (NOW + DAY * days)) < DAY


def test_it_names_the_day_once_that_is_near() -> None:
    trends = Trends()
    said = [trends.read("disk", NOW + DAY * day, 0.3 + 0.02 * day, "the disk") for day in range(21)]
    assert all("% of the disk are used, and all of them will be on " in each for each in said[5:])
    kept = Trends.from_json(trends.to_json())
    assert kept == trends
    assert trends.read("empty", NOW, 0.1, "it") == ""


@pytest.fixture
def table() -> Iterator[str]:
    """A table of its own, with many rows and no index."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS slow_burn_rows")
        cursor.execute(
            "CREATE TABLE slow_burn_rows WITH (autovacuum_enabled = off)"
            " AS SELECT * FROM generate_series(1, 20000) AS number"
        )
    yield "slow_burn_rows"
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE slow_burn_rows")


def statistics(ready: Callable[[list[Ticket]], bool], trends: Callable[[], Trends]) -> list[Ticket]:
    """Ask until the server's statistics have caught up, for 10 s at most."""
    deadline = time.monotonic() + 10
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
        found = list(slow_burn.tickets(NOW, trends()))
        if ready(found) or time.monotonic() > deadline:
            return found


@pytest.mark.django_db(transaction=True)
def test_it_finds_a_table_that_is_read_whole_again_and_again(table: str) -> None:
    def before() -> Trends:
        return Trends(scans={table: (NOW - 3600, 0, 0)})

    with connection.cursor() as cursor:
        for number in range(30):
            cursor.execute(f"SELECT * FROM {table} WHERE number = %s", [number])
    found = statistics(lambda found: any(each[:2] == ("index", table) for each in found), before)
    (ticket,) = [each for each in found if each.kind == "index"]
    assert ticket.says.startswith(f"{table} was read whole 30 times")
    assert [each for each in slow_burn.tickets(NOW, Trends()) if each.kind == "index"] == [], "nothing to compare with"


@pytest.mark.django_db(transaction=True)
def test_each_database_is_asked_by_its_alias_and_a_server_once(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = connections["default"].settings_dict
    for alias, name in (("archive", "postgres"), ("same", default["NAME"])):
        monkeypatch.setitem(connections.settings, alias, {**default, "NAME": name})
        monkeypatch.setattr(pool.registry(alias), "used", True)
    try:
        asked = list(slow_burn.databases())
        trends = Trends()
        found = list(slow_burn.tickets(NOW, trends, "same"))
    finally:
        for alias in ("archive", "same"):
            connections[alias].close()
            del connections[alias]
    assert asked == [("default", True), ("archive", False)]
    assert f"{table} on same" in trends.scans
    assert "connections on same" in trends.used
    assert all(" same" in ticket.subject or ticket.kind == "transaction_ids" for ticket in found)


@pytest.mark.django_db(transaction=True)
def test_it_finds_rows_that_vacuum_should_have_cleared(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET number = number + 1")
    found = statistics(lambda found: any(each[:2] == ("bloat", table) for each in found), Trends)
    assert {"bloat", "statistics"} <= {each.kind for each in found if each.subject == table}


@pytest.mark.django_db(transaction=True)
def test_it_finds_a_transaction_that_holds_vacuum_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_burn, "HELD", 0)
    parameters = {**connection.get_connection_params(), "application_name": "forgotten"}
    with psycopg.connect(**parameters) as forgotten:
        forgotten.execute("SELECT 1")
        found = list(slow_burn.tickets(NOW, Trends()))
    assert ("transaction", "forgotten") in {each[:2] for each in found}


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    own = Board(None)
    monkeypatch.setattr(incidents, "_board", own)
    monkeypatch.setattr(slow_burn, "databases", lambda: iter(()))
    return own


def test_it_reports_a_ticket_once_a_day(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    at = NOW
    monkeypatch.setattr(time, "time", lambda: at)
    monkeypatch.setattr(tickets, "_checks", {"test": lambda: [Ticket("test", "x", "X wears out.")]})
    caretaker = Caretaker(board)
    with capture_logs() as lines:
        for _ in range(30):
            caretaker.round()
            at += EVERY
    opened = [line for line in lines if line["event"] == "ticket_opened"]
    assert [line["message"] for line in opened] == ["X wears out."] * 2
    assert board.tickets()["open"][0][:4] == ["test", "x", "X wears out.", NOW]
    assert at - NOW > AGAIN
    monkeypatch.setattr(tickets, "_checks", {})
    caretaker.round()
    assert board.tickets()["open"] == []


def test_a_check_that_fails_stops_no_other(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Ticket]:
        raise OSError

    monkeypatch.setattr(tickets, "_checks", {"broken": broken, "sound": lambda: [Ticket("test", "y", "Y wears out.")]})
    Caretaker(board).round()
    assert [row[1] for row in board.tickets()["open"]] == ["y"]


@pytest.mark.django_db
def test_the_operations_page_shows_what_wears_out(admin_client: Client, board: Board) -> None:
    assert "To be looked after" not in admin_client.get("/admin/operations/").content.decode()
    board.show_tickets({"at": NOW, "open": [["index", "t", "The table <t> lacks an index.", NOW, NOW]]})
    page = admin_client.get("/admin/operations/").content.decode()
    assert "The table &lt;t&gt; lacks an index." in page


@pytest.mark.django_db(transaction=True)
def test_a_periodic_task_that_did_not_run_is_missed() -> None:
    at = time.time()
    name, id_ = next(key for key, each in app.periodic_registry.periodic_tasks.items() if each.cron.startswith("17 3"))
    assert list(punctuality.missed(app, at)) == [], "a site that was just set up has missed nothing"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp) VALUES (%s, %s, %s)",
            [name, id_, int(at - 3 * DAY)],
        )
    (ticket,) = punctuality.missed(app, at)
    assert ticket[:2] == ("periodic_task", name)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_periodic_defers SET defer_timestamp = %s", [int(at)])
    assert list(punctuality.missed(app, at)) == []


def ended(task: str, ago: timedelta) -> None:
    """A run of a task that went well."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH job AS (INSERT INTO procrastinate_jobs (queue_name, task_name, status, args)"
            " VALUES ('default', %s, 'succeeded', '{}') RETURNING id)"
            " INSERT INTO procrastinate_events (job_id, type, at)"
            " SELECT id, 'succeeded', now() - %s::interval FROM job",
            [task, str(ago)],
        )


@pytest.mark.django_db(transaction=True)
def test_customers_in_line_who_are_offered_nothing_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missed() -> list[str]:
        return [each.subject for each in waitlist.tickets()]

    hour, minute, now = timedelta(hours=1), timedelta(minutes=1), timezone.now()
    assert missed() == [], "nobody is in line"
    entry = WaitlistEntry.objects.create(
        service=factories.service(), last_day=now.date(), customer_email="a@example.com", weekdays=[0], confirmed_at=now
    )
    ended("offer_free_time", 2 * hour)
    assert missed() == [], "a round of a minute ago may not have ended yet"
    WaitlistEntry.objects.update(confirmed_at=now - hour)
    assert missed() == ["round"]
    ended("another_task", minute)
    assert missed() == ["round"]
    ended("offer_free_time", minute)
    assert missed() == []
    offer = WaitlistOffer.objects.create(entry=entry, starts_at=now, made_at=now - hour, outcome="lapsed")
    assert missed() == ["offer"]
    SentEmail.objects.create(key=f"waitlist:{entry.pk}:offer:{offer.pk}", sent_at=now)
    assert missed() == []
    monkeypatch.setattr(waitlist, "MOST_AT_ONCE", 0)
    (ticket,) = waitlist.tickets()
    assert ticket.says.startswith("1 customers are in line, and a round looks at the first 0")


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        ([], []),
        (["20231112T030000Z", "20231113T030000Z", "20231114T030000Z"], []),
        (["20231110T030000Z", "20231111T030000Z"], ["late"]),
        (["20231113T220000Z", "20231114T030000Z.partial"], ["interrupted"]),
        (["20231101T030000Z", "20231108T030000Z"], []),  # a weekly one
    ],
)
def test_it_misses_a_backup_where_there_were_some(tmp_path: Path, names: list[str], kinds: list[str]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert [each.subject for each in ours.backups(tmp_path, NOW)] == kinds


def test_a_site_without_tls_has_no_certificate() -> None:
    assert list(ours.certificate("http://127.0.0.1:8000", NOW)) == []
    assert django_settings.SITE_URL.startswith("http://")
