"""One event per incident: when it begins, when it ends, and what it is not."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from telemetry.diagnosis.incidents import Board, Incident
from telemetry.diagnosis.watchdog import Watchdog
from telemetry.observe.probe import Reachability
from telemetry.observe.snapshot import Held, Snapshot

STUCK = (Held("query", "SELECT a", "/a/", 3.0, 3.0), Held("query", "SELECT a", "/a/", 2.0, 2.0))


class Scene:
    """A watchdog, the database as its probe finds it, and the log it writes."""

    def __init__(self, log: list[Any], board: Board | None = None) -> None:
        self.log, self.reason, self.at = log, "", 1_000_000.0
        self.watchdog = Watchdog(board or Board(None), lambda: Reachability(not self.reason, self.reason, 0))  # type: ignore[arg-type]  # set by tests

    def look(self, times: int = 1, **figures: Any) -> list[str]:
        for _ in range(times):
            self.at += 1
            pool = Snapshot(at=self.at, max_size=2, troubled_since=self.at - 0.5)._replace(**figures)
            self.watchdog.look(pool._replace(in_use=figures.get("in_use", len(pool.held))))
        return [line["event"] for line in self.log]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with capture_logs() as log:
        yield Scene(log)


def test_it_reports_an_exhausted_pool_once_and_its_recovery_once(scene: Scene) -> None:
    assert scene.look(held=STUCK, waiting=1, oldest_wait=0.6) == []
    assert scene.look(5, held=STUCK, waiting=1, oldest_wait=1.6, timeouts=1) == ["db_pool_exhausted"]
    assert "`SELECT a` query (2 holders" in scene.log[0]["message"]
    assert scene.look(2) == ["db_pool_exhausted"]
    assert scene.look(5) == ["db_pool_exhausted", "db_pool_recovered"]
    assert scene.log[1]["duration_seconds"] == pytest.approx(8, abs=1)


def test_it_keeps_quiet_about_a_full_pool_nobody_waits_for(scene: Scene) -> None:
    assert scene.look(9, held=STUCK) == []


def test_it_keeps_quiet_about_a_moment_of_waiting(scene: Scene) -> None:
    for _ in range(4):
        scene.look(held=STUCK, waiting=1, oldest_wait=0.6)
        scene.look(held=STUCK[:1])
    assert scene.log == []


def test_it_does_not_call_it_over_while_the_same_connections_are_stuck(scene: Scene) -> None:
    scene.look(2, held=STUCK, waiting=1, oldest_wait=1.0, timeouts=1)
    assert scene.look(9, held=STUCK) == ["db_pool_exhausted"]


def test_it_calls_sustained_queueing_behind_fast_work_a_surge(scene: Scene) -> None:
    fast = tuple(Held("query", "SELECT a", "/", 0.01, 0.02) for _ in range(2))
    assert scene.look(2, held=fast, waiting=2, oldest_wait=0.02, returned=90, queued=80) == []
    assert scene.look(held=fast, waiting=2, oldest_wait=0.02, returned=90, queued=80) == ["db_pool_exhausted"]
    assert scene.log[0]["cause"] == "surge"


def test_it_calls_a_database_that_refuses_down_and_nothing_else(scene: Scene) -> None:
    scene.reason = "refused"
    assert scene.look(3, timeouts=3, waiting=2, oldest_wait=1.0) == ["database_down"]
    assert scene.log[0]["message"].startswith("The database is down: it refuses connections, since ")
    scene.look(2, held=STUCK, waiting=2, oldest_wait=1.0, timeouts=3)  # full of broken connections
    scene.reason = ""
    assert scene.look(2) == ["database_down", "database_recovered"]


def test_it_notices_on_a_quiet_site_that_the_database_is_gone(scene: Scene) -> None:
    scene.look(9)
    scene.reason = "refused"
    assert scene.look(6) == ["database_down"]
    assert scene.log[0]["message"].startswith("The database is down: it refuses connections, since ")


def test_it_takes_two_silences_to_call_a_database_down(scene: Scene) -> None:
    scene.reason = "timeout"
    assert scene.look(lost=1) == []
    assert scene.look(lost=1) == ["database_down"]


def test_it_reports_one_incident_of_several_processes_once(tmp_path: Path) -> None:
    path = tmp_path / "incidents.json"
    script = f"""if True:
        import sys
        from pathlib import Path
        import django; from django.conf import settings; settings.configure()
        from telemetry.diagnosis.incidents import Board, Incident
        board = Board(Path({str(path)!r}))
        print(board.join(Incident("pool_exhausted", "surge", "s", 1.0, 2.0))[1], flush=True)
        sys.stdin.readline()
        print(board.leave("pool_exhausted"), flush=True)
    """
    board, incident = Board(path), Incident("pool_exhausted", "surge", "s", 1.0, 2.0)
    assert board.join(incident)[1] is True
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline().strip() == "False"
        assert board.leave("pool_exhausted") is False
        assert [found.kind for found in board.current()] == ["pool_exhausted"]
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline().strip() == "True"
    assert board.current() == []


def test_it_reports_the_end_of_an_incident_whose_processes_ended(tmp_path: Path) -> None:
    path = tmp_path / "incidents.json"
    board = Board(path)
    board.join(Incident("pool_exhausted", "surge", "s", 1_000_000.0, 1_000_001.0))
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    state = json.loads(path.read_text())
    state["pool_exhausted"]["pids"] = [gone.pid]
    path.write_text(json.dumps(state))
    assert board.current() == []
    with capture_logs() as log:
        scene = Scene(log, board)
        assert scene.look(3) == ["db_pool_recovered"]
    assert log[0]["duration_seconds"] == pytest.approx(1, abs=1)
    assert board.join(Incident("pool_exhausted", "surge", "new", 1.0, 2.0))[1] is True


def test_it_reports_an_incident_whose_board_cannot_be_written(tmp_path: Path) -> None:
    with capture_logs() as log:
        scene = Scene(log, Board(tmp_path / "gone" / "incidents.json"))
        assert scene.look(3, held=STUCK, waiting=1, oldest_wait=1.6, timeouts=1) == ["db_pool_exhausted"]
        assert scene.look(5) == ["db_pool_exhausted", "db_pool_recovered"]


@pytest.mark.timing
def test_it_costs_next_to_nothing_to_ask_for_incidents_while_there_are_none(tmp_path: Path) -> None:
    board = Board(tmp_path / "incidents.json")
    began = time.perf_counter()
    for _ in range(1000):
        board.current()
    assert time.perf_counter() - began < 0.5
