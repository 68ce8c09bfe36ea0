"""The issue of an incident is resolved when the incident is over: by Bugsink's API and by Sentry's, once."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from harness.peers.bugsink import Project
from harness.peers.envelopes import TOKEN, Envelopes, running_envelopes
from harness.stack import wait_for
from telemetry import errors
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.model import Cause, Incident, Symptom
from telemetry.errors import issues, sentry
from telemetry.metrics import catalogue
from telemetry.serve import resolver
from telemetry.serve.projections import Projections


@dataclass
class Host:
    """A host's board, and one process that reports and resolves."""

    board: Board

    def __post_init__(self) -> None:
        self.projections, self.resolver = Projections(self.board), resolver.Resolver(self.board)

    def show(self, *incidents: Incident) -> None:
        """One look of the process, to its end."""
        self.board.show(list(incidents))
        self.projections.incidents(self.board.incidents())
        self.resolver._again_at = 0.0
        self.resolver.offer(self.board.recent())
        if self.resolver._thread is not None:
            self.resolver._thread.join(10)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    board = Board(tmp_path / "board")
    board.lead()
    return Host(board)


def incident(id_: str, component: str) -> Incident:
    now = time.time()
    cause = Cause("query", component, "duration")
    return Incident(id_, Symptom("slow"), cause, now - 9, now, f"Requests are slow because of {component}.")


def over(of: Incident) -> Incident:
    return replace(of, ended_at=time.time())


@pytest.fixture
def bugsink_reporting(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("SENTRY_DSN", project.dsn)
    monkeypatch.setenv("SENTRY_URL", project.server.url)
    monkeypatch.setenv("SENTRY_AUTH_TOKEN", project.server.token)
    monkeypatch.setenv("SENTRY_ORG", "any")  # as `make sourcemaps` needs it
    sentry.start("r7", "drill")
    yield project
    errors.stop()


@pytest.fixture
def sentry_reporting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Envelopes]:
    with running_envelopes() as received:
        monkeypatch.setenv("SENTRY_DSN", received.environment["SENTRY_DSN"])
        monkeypatch.setenv("SENTRY_URL", f"http://127.0.0.1:{received.port}/")
        monkeypatch.setenv("SENTRY_AUTH_TOKEN", TOKEN)
        monkeypatch.setenv("SENTRY_ORG", "us")
        sentry.start("r7", "drill")
        yield received
        errors.stop()


def not_resolved() -> float:
    value: float = catalogue.telemetry_dropped.labels("sentry", "not_resolved")._value.get()
    return value


def test_bugsink_resolves_the_issue_of_what_is_over_and_no_other(bugsink_reporting: Project, host: Host) -> None:
    first, other = incident("a" * 12, "SELECT shop_order"), incident("b" * 12, "SELECT shop_item")
    host.show(first, other)
    bugsink_reporting.wait_for_events(2)
    host.show(over(first), other)
    resolved = {issue["calculated_value"]: issue["is_resolved"] for issue in bugsink_reporting.issues()}
    assert resolved == {first.sentence: True, other.sentence: False}


def test_an_issue_is_resolved_once_for_each_time_it_was_opened(bugsink_reporting: Project, host: Host) -> None:
    first, again = (incident(id_ * 12, "SELECT shop_order") for id_ in "ab")
    host.show(first)
    bugsink_reporting.wait_for_events(1)
    host.show(over(first))
    [issue] = bugsink_reporting.issues()
    bugsink_reporting.server.api(f"issues/{issue['id']}/reopen/", {})
    for process in (host, Host(host.board)):
        process.show(over(first))
    assert [each["is_resolved"] for each in bugsink_reporting.issues()] == [False]
    host.show(over(first), again)
    bugsink_reporting.wait_for_events(2)
    host.show(over(first), over(again))
    assert [each["is_resolved"] for each in bugsink_reporting.issues()] == [True]


def test_sentry_resolves_the_issue_by_the_id_of_its_event(sentry_reporting: Envelopes, host: Host) -> None:
    first = incident("a" * 12, "SELECT shop_order")
    host.show(first)
    [event] = wait_for("the event", lambda: sentry_reporting.events)
    host.show(over(first))
    host.show(over(first))
    assert sentry_reporting.statuses == {event["event_id"]: ["resolved"]}


def test_an_issue_stays_open_while_the_same_goes_on_again(sentry_reporting: Envelopes, host: Host) -> None:
    first, again = (incident(id_ * 12, "SELECT shop_order") for id_ in "ab")
    host.show(first)
    wait_for("the event", lambda: sentry_reporting.events)
    host.show(over(first), again)
    assert not sentry_reporting.statuses


@pytest.mark.parametrize("wrong", [{"SENTRY_AUTH_TOKEN": "x" * 40}, {"SENTRY_URL": "file:///etc/passwd"}])
def test_what_cannot_be_resolved_is_counted_and_logged_once(
    sentry_reporting: Envelopes, host: Host, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    first, before = incident("a" * 12, "SELECT shop_order"), not_resolved()
    host.show(first)
    with capture_logs() as lines:
        for _ in range(resolver.ATTEMPTS + 2):
            host.show(over(first))
    assert not_resolved() == before + 1
    assert [line["id"] for line in lines if line["event"] == "issue_not_resolved"] == [first.id]
    assert not sentry_reporting.statuses


def test_nothing_is_asked_without_a_token(
    sentry_reporting: Envelopes, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENTRY_AUTH_TOKEN")
    first = incident("a" * 12, "SELECT shop_order")
    host.show(first)
    wait_for("the event", lambda: sentry_reporting.events)
    host.show(over(first))
    assert host.resolver._thread is None
    assert issues.tracker() is None
