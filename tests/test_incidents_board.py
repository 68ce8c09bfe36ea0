"""Whom the board of incidents trusts: where all users share a directory, somebody else can take its name first."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.diagnosis import board
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.engine import State
from telemetry.diagnosis.model import Cause, Incident, Look, Symptom

KEPT = Incident("1", Symptom("slow"), Cause("query", "SELECT shop_order", "duration"), 1.0, 2.0, "Requests are slow.")


def _with_a_link(directory: Path) -> None:
    elsewhere = directory.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    directory.symlink_to(elsewhere)


def _open_to_all(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)


def _open_to_the_group(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o720)


@pytest.mark.parametrize("taken", [_with_a_link, _open_to_all, _open_to_the_group])
def test_nothing_is_written_where_others_can_write(tmp_path: Path, taken: Callable[[Path], None]) -> None:
    directory = tmp_path / "board"
    taken(directory)
    own = Board(directory)
    own.show([KEPT])
    assert own.claim("reported-1"), "alone, it reports for itself"
    assert own.lead()
    assert list(directory.iterdir()) == []
    assert own.incidents() == [KEPT], "it has a board of its own"


def test_nothing_is_read_from_the_directory_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Board(tmp_path / "board").show([KEPT])
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert Board(tmp_path / "board").recent() == []


def test_our_own_directory_is_shared_and_closed_to_others(tmp_path: Path) -> None:
    directory = tmp_path / "board"
    directory.mkdir()
    directory.chmod(0o755)
    Board(directory).show([KEPT])
    assert Board(directory).incidents() == [KEPT]
    assert directory.stat().st_mode & 0o777 == 0o700


def test_what_the_processes_of_yesterday_left_open_is_not_wrong_now(tmp_path: Path) -> None:
    ended = Board(tmp_path / "board")
    ended.show([KEPT])
    ended.keep(State())
    assert Board(tmp_path / "board").incidents() == [KEPT]
    long_ago = time.time() - 2 * board.ABANDONED
    os.utime(tmp_path / "board" / "state.json", (long_ago, long_ago))
    assert Board(tmp_path / "board").incidents() == []
    assert Board(tmp_path / "board").recent() == [KEPT], "whoever leads next goes on with it"


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's file system in memory."""
    place = tmp_path / "memory"
    place.mkdir()
    monkeypatch.setattr(board, "MEMORY", place)
    return place


def look(pid: int, at: float) -> Look:
    return Look(at=at, window=1.0, pid=pid, process="web")


def test_looks_lie_in_memory_and_what_outlives_the_host_does_not(tmp_path: Path, memory: Path) -> None:
    directory = tmp_path / "board"
    worker, leader = Board(directory), Board(directory)
    worker.publish(look(os.getpid(), 1.0))
    leader.show([KEPT])
    leader.keep(State())
    leader.show_tickets({"at": 1.0})
    assert [each.at for each in leader.collect()[0]] == [1.0]
    (looks,) = memory.iterdir()
    assert looks.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in looks.iterdir()] == [f"{os.getpid()}.look"]
    assert {each.name for each in directory.iterdir()} == {"incidents.json", "state.json", "tickets.json"}
    worker.withdraw(os.getpid())
    assert list(memory.iterdir()) == [], "the last process leaves nothing behind"
    worker.publish(look(os.getpid(), 2.0))
    assert [each.at for each in leader.collect()[0]] == [2.0], "one that goes on makes it again"


def test_two_projects_keep_their_looks_apart(tmp_path: Path, memory: Path) -> None:
    Board(tmp_path / "one").publish(look(1, 1.0))
    assert Board(tmp_path / "two").latest() == []
    assert [each.pid for each in Board(tmp_path / "one").latest()] == [1]


@pytest.mark.parametrize("taken", [_with_a_link, _open_to_all, _open_to_the_group])
def test_looks_are_on_the_disk_where_others_can_write_in_memory(
    tmp_path: Path, memory: Path, taken: Callable[[Path], None]
) -> None:
    early = Board(tmp_path / "board")
    early.publish(look(os.getpid(), 0.0))
    (place,) = memory.iterdir()
    early.withdraw(os.getpid())
    taken(place)
    Board(tmp_path / "board").publish(look(os.getpid(), 1.0))
    assert list(place.iterdir()) == []
    assert (tmp_path / "board" / f"{os.getpid()}.look").exists()
    assert [each.at for each in early.collect()[0]] == [1.0], "who came before it reads it there"


def test_each_look_is_read_once_however_many_there_were(tmp_path: Path, memory: Path) -> None:
    worker, leader, seen = Board(tmp_path / "board"), Board(tmp_path / "board"), list[float]()
    at = 0.0
    for between in (1, 1, 0, 3, board.RECENT, 2 * board.RECENT):
        for _ in range(between):
            at += 1.0
            worker.publish(look(os.getpid(), at))
        new = [each.at for each in leader.collect()[0]]
        assert new == [at - before for before in reversed(range(min(between, board.RECENT)))]
        seen += new
    (file,) = memory.glob("*/*.look")
    file.write_text(f"{file.read_text()}\n{{}}\n[]\nnothing")
    assert leader.collect() == ([], [])
    assert len(seen) == len(set(seen))
