"""The Operations page that is made from memory: what it shows, whom it opens for, and that it asks no database."""

import time
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client

from telemetry.diagnosis import incidents
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.history import SLICE, History
from telemetry.diagnosis.model import Cause, Incident, Symptom
from tests.simulated import Site
from xfhandyman.operations import live

PAGE = "/admin/operations/now/"


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    own = Board(None)
    monkeypatch.setattr(incidents, "_board", own)
    return own


def incident(**changes: Any) -> Incident:
    cause = Cause("query", "SELECT bookings_booking", "duration")
    began = time.time() - 30
    values: dict[str, Any] = {"id": "1", "symptom": Symptom("slow"), "cause": cause, "started_at": began}
    return Incident(**{**values, "opened_at": began, "sentence": "Requests are <slow>.", **changes})


@pytest.mark.django_db
def test_it_opens_without_the_database_once_the_operations_page_was_seen(
    admin_client: Client, board: Board, django_assert_num_queries: Any
) -> None:
    assert admin_client.get(PAGE).headers["Location"] == "/admin/operations/"
    assert admin_client.get("/admin/operations/").status_code == 200
    with django_assert_num_queries(0):
        answer = admin_client.get(PAGE)
    assert answer.status_code == 200
    assert "Nothing is wrong" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_it_stays_closed_to_staff_who_may_not_see_operations(client: Client) -> None:
    client.force_login(User.objects.create_user("sam", is_staff=True))
    assert client.get("/admin/operations/").status_code == 403
    assert client.get(PAGE).status_code == 302


@pytest.mark.django_db
def test_it_closes_with_the_session_it_was_opened_by(admin_client: Client, board: Board) -> None:
    admin_client.get("/admin/operations/")
    assert admin_client.get(PAGE).status_code == 200
    kept = admin_client.cookies[live.COOKIE].value
    admin_client.post("/admin/logout/")
    assert admin_client.get(PAGE).status_code == 302, "whoever uses the browser next"
    other = Client()
    other.force_login(User.objects.create_user("sam", is_staff=True))
    other.cookies[live.COOKIE] = kept
    assert other.get(PAGE).status_code == 302


@pytest.mark.parametrize("cookie", ["", "allowed", "ImFsbG93ZWQi:1:forged"])
def test_it_stays_closed_to_a_cookie_that_this_site_did_not_sign(client: Client, cookie: str) -> None:
    client.cookies[live.COOKIE] = cookie
    assert client.get(PAGE).status_code == 302


def test_it_shows_incidents_figures_and_where_time_went(board: Board, rf: Any) -> None:
    site, history = Site(seed=1, at=time.time() - 3 * SLICE), History()
    looks = list(site.looks(int(SLICE) * 3))
    for look in looks:
        board.publish(look)
        history.add(looks[: looks.index(look) + 1], look.at)
    board.show_history(history.to_json())
    over = incident(id="2", sentence="It was over.", ended_at=time.time())
    board.show([incident(consequences=["errors:OperationalError"]), over])
    shown = live.context()
    assert [each.sentence for each in shown["open"]] == ["Requests are <slow>."]
    assert [each.lasted for each in shown["closed"]] == ["30 s"]
    assert {area.kind for area in shown["areas"]} >= {"query", "http", "cpu"}
    assert shown["last"].threads == 8
    text = render_to_string("admin/operations/now.html", shown)
    assert "Requests are &lt;slow&gt;." in text
    assert "docs/runbooks/DatabaseQuerySlow.md" in text
    assert len(text) < 60_000


@pytest.mark.django_db  # whatever connection the test before has left is looked at when the file is closed
def test_its_stylesheet_is_answered_beside_it(client: Client) -> None:
    with closing(client.get("/admin/operations/now.css")) as answer:
        assert answer.status_code == 200
        assert b".sentence" in b"".join(answer.streaming_content)  # type: ignore[attr-defined]  # of a file
