"""Incidents outlive their host's board: written once, later where the database is down, and forgotten in time."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from harness.stack import wait_for
from telemetry.contrib.procrastinate.retention import purge_rum
from telemetry.diagnosis import incidents, store
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.model import Cause, Incident, Symptom
from telemetry.models import IncidentRecord
from xfhandyman.operations import timeline

LIST = "/admin/telemetry/incidentrecord/"


def incident(id_: str = "a1", **changes: Any) -> Incident:
    cause = Cause("query", "SELECT bookings_booking", "duration", "/book/<slug>/")
    began = time.time() - 60
    values: dict[str, Any] = {"id": id_, "symptom": Symptom("slow"), "cause": cause, "started_at": began}
    return Incident(**{**values, "opened_at": began, "sentence": f"Requests are slow ({id_}).", **changes})


def offered(what: str, writer: store.Writer, board: Board, done: Callable[[], bool]) -> None:
    """Offer what is on the board, as the sampler does, until that is done."""

    def tried() -> bool:
        writer.offer(board.recent())
        return done()

    wait_for(what, tried)


@pytest.mark.django_db(transaction=True)
def test_it_writes_an_incident_and_its_end_into_one_row() -> None:
    board = Board(None)
    writer = store.Writer(board)
    going = incident()
    board.show([going])
    writer.offer(board.recent())
    wait_for("the row", lambda: IncidentRecord.objects.filter(id="a1", ended_at=None).exists())
    ended = incident(started_at=going.started_at, ended_at=going.started_at + 50, consequences=["errors:PoolTimeout"])
    board.show([ended])
    offered("its end", writer, board, lambda: IncidentRecord.objects.exclude(ended_at=None).exists())
    row = IncidentRecord.objects.get()
    assert (row.lasted, row.consequences, row.route) == ("50 s", "errors:PoolTimeout", "/book/<slug>/")


def test_it_waits_on_the_board_while_the_database_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RETRY", 0.0)
    board, written = Board(None), list[str]()
    down = True

    def write(rows: Sequence[Incident]) -> None:
        if down:
            raise OSError
        written.extend(row.id for row in rows)

    writer = store.Writer(board, write)
    board.show([incident("a1")])
    for _ in range(3):
        writer.offer(board.recent())
    board.show([incident("a1"), incident("a2")])
    down = False
    offered("both", writer, board, lambda: set(written) >= {"a1", "a2"})
    before = list(written)
    writer.offer(board.recent())
    assert written == before == ["a1", "a2"], "each once"


def test_one_process_of_a_host_writes(tmp_path: Path) -> None:
    board, written = Board(tmp_path / "board"), list[str]()
    board.show([incident()])

    class Other(Board):
        def hold(self, duty: str) -> bool:
            return False

    other = Other(tmp_path / "board")
    store.Writer(other, lambda rows: written.extend(row.id for row in rows)).offer(other.recent())
    writer = store.Writer(board, lambda rows: written.extend(row.id for row in rows))
    offered("the one", writer, board, lambda: bool(written))
    assert written == ["a1"]


@pytest.mark.django_db(transaction=True)
def test_it_forgets_after_ninety_days() -> None:
    now = datetime.now(UTC)
    for days in (1, 89, 91):
        store.write([incident(f"{days}", started_at=(now - timedelta(days=days)).timestamp())])
    purge_rum(int(now.timestamp()))
    assert sorted(IncidentRecord.objects.values_list("id", flat=True)) == ["1", "89"]


@pytest.mark.django_db
def test_staff_read_and_take_along_but_change_nothing(admin_client: Client) -> None:
    row = store.record(incident(sentence="=1+1 is slow."))
    row.save()
    page = admin_client.get(LIST).content.decode()
    assert "is slow." in page
    assert "goes on" in page
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.get(f"{LIST}{row.pk}/delete/").status_code == 403
    answer = admin_client.post(LIST, {"action": "as_csv", "_selected_action": [row.pk]})
    assert answer["Content-Type"].startswith("text/csv")
    assert "'=1+1 is slow." in answer.content.decode(), "no spreadsheet takes it for a formula"


@pytest.mark.django_db
def test_the_operations_page_shows_the_day_of_all_hosts(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(None)
    monkeypatch.setattr(incidents, "_board", board)
    here = incident("here", sentence="It hangs here.")
    board.show([here])
    for each in (here, incident("there", sentence="It hung there.", ended_at=time.time() - 30)):
        store.record(each).save()
    page = admin_client.get("/admin/operations/").content.decode()
    assert page.count("<title>It hangs here.</title>") == 1
    assert page.count("<title>It hung there.</title>") == 1
    now = admin_client.get("/admin/operations/now/").content.decode()
    assert "<title>It hangs here.</title>" in now


@pytest.mark.django_db
def test_only_staff_with_the_permission_see_the_list(client: Client) -> None:
    staff = User.objects.create_user("sam", is_staff=True)
    client.force_login(staff)
    assert client.get(LIST).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_incidentrecord"))
    assert client.get(LIST).status_code == 200


def test_spans_that_overlap_are_drawn_above_one_another() -> None:
    at = 1_700_000_000.0
    spans = [timeline.Span(f"{n}", at - 7200 + n, at - 3600 if n else None) for n in range(9)]
    drawn = timeline.draw([*spans, timeline.Span("old", at - 200_000, at - 100_000)], at)
    assert len({(bar.x, bar.y) for bar in drawn.bars[:6]}) == 6
    assert [bar.sentence for bar in drawn.bars if bar.open] == ["0"]
    assert "old" not in [bar.sentence for bar in drawn.bars]
    assert all(bar.x >= 0 and bar.x + bar.width <= timeline.WIDTH + timeline.LEAST for bar in drawn.bars)
