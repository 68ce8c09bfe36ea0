"""Incidents that are going on, shared by the processes of one host so that each is reported once.

Every web worker has a pool of its own, and one locked table exhausts them all. The first to notice opens the incident
on a board (a small locked file in the metrics directory) and reports it, the others join it, and the last to leave
reports the end. Processes that died are taken off the board. Without that directory the board is the process's own.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["pool_exhausted", "database_down"]

_PATIENCE = 0.2
"""Seconds to wait for the board's lock; a stopped process that holds it must not silence the others."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is wrong now. Times are Unix seconds."""

    kind: Kind
    cause: str
    sentence: str
    started_at: float
    opened_at: float
    query: str = ""
    route: str = ""


class Board:
    """The incidents of this host. Every method takes a few microseconds while nothing is wrong."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._own: dict[str, Any] = {}

    def join(self, incident: Incident) -> tuple[Incident, bool]:
        """The incident of this kind that is going on, and whether this process opened it and is to report it."""
        with self._state() as state:
            entry = state.get(incident.kind)
            if entry is not None:
                entry["pids"] = sorted({*entry["pids"], os.getpid()})
                return Incident(**entry["incident"]), False
            state[incident.kind] = {"incident": asdict(incident), "pids": [os.getpid()]}
            return incident, True

    def leave(self, kind: Kind) -> bool:
        """It is over for this process; True when it was the last one, which is to report the end."""
        with self._state() as state:
            entry = state.get(kind)
            if entry is None:
                return False
            entry["pids"] = [pid for pid in entry["pids"] if pid != os.getpid()]
            if entry["pids"]:
                return False
            del state[kind]
            return True

    def bury(self) -> list[Incident]:
        """Take off what only ended processes were in (a reload, a kill) and return it, for its end to be reported."""
        if not any(not any(map(_alive, entry["pids"])) for entry in self._read().values()):
            return []
        with self._state(keep_dead=True) as state:
            dead = [kind for kind, entry in state.items() if not any(map(_alive, entry["pids"]))]
            return [Incident(**state.pop(kind)["incident"]) for kind in dead]

    def current(self) -> list[Incident]:
        """What is going on on this host, in any process; the oldest first."""
        state = self._read()
        found = [Incident(**entry["incident"]) for entry in state.values() if any(map(_alive, entry["pids"]))]
        return sorted(found, key=lambda incident: incident.started_at)

    @contextmanager
    def _state(self, keep_dead: bool = False) -> Iterator[dict[str, Any]]:
        with self._lock:
            if self._path is None:
                yield self._own
                return
            with self._locked(self._path.with_suffix(".lock")):
                state = self._read()
                for entry in state.values():
                    entry["pids"] = [pid for pid in entry["pids"] if _alive(pid)]
                if not keep_dead:
                    state = {kind: entry for kind, entry in state.items() if entry["pids"]}
                yield state
                fresh = self._path.with_suffix(f".{os.getpid()}")
                try:
                    fresh.write_text(json.dumps(state))
                    fresh.rename(self._path)
                except OSError:  # the directory is gone or full: a board of one's own is better than no report
                    self._path, self._own = None, state

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return self._own
        try:
            return dict(json.loads(self._path.read_text()))
        except (OSError, ValueError):
            return {}

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        deadline = time.monotonic() + _PATIENCE
        try:
            lock = path.open("w")
        except OSError:
            yield  # what cannot be locked cannot be written either
            return
        with lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        break  # go on without it: twice reported is better than never
                    time.sleep(0.01)
            yield


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _path() -> Path | None:
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(directory) / "incidents.json" if directory and Path(directory).is_dir() else None


_board: Board | None = None


def board() -> Board:
    """The host's board; its place is read when first asked for, after the metrics directory was made."""
    global _board
    if _board is None:
        _board = Board(_path())
    return _board


def current() -> list[Incident]:
    """The incidents going on on this host, the oldest first; for health, the Operations page and error reports."""
    return board().current()
