"""What one process sees of itself: whether the database answers, and since when it does not."""

import time

import pytest

from telemetry.observe import probe
from telemetry.observe.probe import Reachability, Reason
from telemetry.observe.snapshot import Snapshot
from telemetry.serve.looks import Reach
from tests.stack import wait_for


class Answers:
    """A database that answers what it is told to."""

    last: Reachability | None = None
    reason: Reason = ""

    def check(self, limit: float) -> Reachability:
        self.last = Reachability(not self.reason, self.reason, time.perf_counter())
        return self.last


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers = Answers()
    monkeypatch.setattr(probe, "database", answers)
    return answers


def test_each_outage_has_its_own_start(database: Answers) -> None:
    reach = Reach()

    def asked(at: float, reason: Reason) -> tuple[str, float]:
        database.reason = reason
        found = [reach.state(Snapshot(at, 4), troubled=True, oldest=3.0)]

        def answered() -> bool:
            found.append(reach.state(Snapshot(at, 4), troubled=True, oldest=3.0))
            return found[-1][0] == (reason or "ok")

        wait_for("the answer", answered)
        return found[-1]

    asked(1000.0, "refused")
    assert asked(1001.0, "refused") == ("refused", 1000.0)
    asked(1010.0, "")
    reach.state(Snapshot(1011.0, 4), troubled=False, oldest=0.0)
    asked(1020.0, "timeout")
    assert asked(1021.0, "timeout") == ("timeout", 1020.0)


def test_a_pool_that_gets_no_connection_has_the_database_asked_for_one(
    database: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    users: dict[str, int] | None = {"reporting": 90, "site": 7}
    monkeypatch.setattr(probe, "full", lambda: users)
    reach = Reach()

    def asked(at: float, state: str, wanting: bool = True) -> tuple[str, float]:
        found = list[tuple[str, float]]()

        def answered() -> bool:
            found.append(reach.state(Snapshot(at, 4, waiting=2, troubled_since=at - 0.5), wanting, 0.0, wanting))
            return found[-1][0] == state

        wait_for(state, answered)
        return found[-1]

    assert asked(1000.0, "full") == ("full", 999.5), "since somebody has waited"
    assert reach.users == {"reporting": 90, "site": 7}
    users = None
    assert asked(1010.0, "ok", wanting=False) == ("ok", 0.0)
