"""Whom the board of incidents trusts: where all users share a directory, somebody else can take its name first."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.diagnosis import board
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.engine import State
from telemetry.diagnosis.model import Cause, Incident, Symptom

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
