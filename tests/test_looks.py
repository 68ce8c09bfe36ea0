"""What one process sees of itself: whether the database answers, since when it does not, and which pool is short."""

import json
import time

import pytest

from harness.stack import wait_for
from telemetry.diagnosis.baseline import Baseline
from telemetry.diagnosis.model import Cause, Look, Pool
from telemetry.diagnosis.sentence import sentence
from telemetry.diagnosis.signals import symptom, waiting
from telemetry.diagnosis.window import merge
from telemetry.observe import probe
from telemetry.observe.probe import Reachability, Reason
from telemetry.observe.snapshot import Snapshot
from telemetry.serve.looks import Reach


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


def test_the_pool_that_is_short_is_named_where_there_are_several() -> None:
    pools = {"default": Pool(8, in_use=2, returned=90), "archive": Pool(4, in_use=4, waiting=3, queued=2, returned=3)}
    window = merge([Look(at=10.0, window=1.0, pid=1, pools=pools)], 10.0, 3.0)
    shown = symptom(window, Baseline(), waiting(window, Baseline()))
    said = sentence(shown, Cause("query", "SELECT item on archive", "duration", now=3.0), 8.0, 10.0)
    assert said.startswith(
        "The database pool of `archive` is exhausted (4/4 in use, 3 waiting) because of high latency in the "
        "`SELECT item on archive` query"
    )
    assert Look.from_json(json.loads(json.dumps(window.latest[0].to_json()))) == window.latest[0]


def test_the_only_pool_needs_no_name() -> None:
    window = merge([Look(at=10.0, window=1.0, pid=1, pools={"": Pool(4, in_use=4, waiting=3)})], 10.0, 3.0)
    shown = symptom(window, Baseline(), waiting(window, Baseline()))
    assert sentence(shown, Cause("unknown", "", "state"), 8.0, 10.0).startswith("The database pool is exhausted (4/4")
