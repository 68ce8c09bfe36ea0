"""Where the processes of one host put their looks, and where the incidents stand: a directory of small files.

Each process writes its last looks to a file of its own. One process leads: it holds a record lock, reads all looks,
judges them, and keeps the incidents and what is usual. When it ends the kernel drops its lock and another takes over.
Looks are written every second and are worth nothing after a restart of the host: they lie in memory where the system
has a place for that (`MEMORY`), all else in the directory.
Without a directory that is ours alone, a process is alone on its board: whoever else could write there, in a temporary
directory that all users share, would have us follow his links and believe his incidents.
"""

import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from telemetry.diagnosis.engine import State
from telemetry.diagnosis.model import Incident, Look
from telemetry.logger import get_logger
from telemetry.observe.statements import WINDOW

log = get_logger("telemetry.incidents")

RECENT = 5
"""Looks in a process's file: as many as the leader may be late by."""
ABANDONED = 120.0
"""Seconds without a leader after which what was open is no longer known to be."""
MEMORY = Path("/dev/shm")  # noqa: S108 - what lies there already is believed only as `_checked` says
"""A file system in memory that all processes of the host see: Linux has it. A disk waits a millisecond for a rename."""
_LOOK, _STATE, _INCIDENTS, _HISTORY, _LOCK = ".look", "state.json", "incidents.json", "history.json", ".lock"
_TICKETS, _STATEMENTS = "tickets.json", ".statements"


class Board:
    """The looks and incidents of a host. Every method takes well under a millisecond, and none raises OSError."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = _own(directory)
        self._memory = self._in_memory()
        self._looks: Path | None = None
        self._published = deque[str](maxlen=RECENT)
        self._newest: dict[str, str] = {}
        self._held: dict[str, int] = {}
        self._read: dict[int, float] = {}
        self._history: list[dict[str, Any]] = []
        self._tickets: dict[str, Any] = {}
        self._statements: list[list[Any]] = []
        self._claims: set[str] = set()
        self._incidents: tuple[int, list[Incident]] = (0, [])

    def _in_memory(self) -> Path | None:
        """Where the looks of whoever has found the same directory lie, and nobody else's; made by the first of them."""
        if self._directory is None or not MEMORY.is_dir():
            return None
        try:
            place, found = self._directory.resolve(), self._directory.stat()
        except OSError:
            return None
        name = hashlib.sha256(f"{place}\0{found.st_dev}\0{found.st_ino}".encode()).hexdigest()
        return MEMORY / f"telemetry-{os.geteuid()}-{name[:16]}"

    def publish(self, look: Look) -> None:
        """Show a look to whoever leads."""
        self._published.append(_packed(look.to_json()))
        name, lines = f"{look.pid}{_LOOK}", "\n".join(self._published)
        if self._looks is not None and _replace(self._looks, name, lines):
            return
        # The first, or the place is gone: when a session ends its user's files in memory may be deleted.
        self._looks = (self._memory and _checked(self._memory)[0]) or self._directory
        if self._looks is not None:
            _replace(self._looks, name, lines)

    def withdraw(self, pid: int) -> None:
        """This process ends as it should; one that is killed leaves its file behind."""
        for directory, kind in ((self._looks, _LOOK), (self._directory, _STATEMENTS)):
            if directory is not None:
                with suppress(OSError):
                    (directory / f"{pid}{kind}").unlink(missing_ok=True)
        if self._memory is not None and self._looks == self._memory:
            with suppress(OSError):  # the last one leaves nothing in memory
                self._memory.rmdir()

    def lead(self) -> bool:
        """Whether this process leads; it does when no other does."""
        return self.hold("leader")

    def hold(self, duty: str) -> bool:
        """Whether a duty that one process of the host has is this process's; it is when no other has it."""
        if self._directory is None or duty in self._held:
            return True
        try:
            file = os.open(self._directory / f"{duty}{_LOCK}", os.O_CREAT | os.O_WRONLY, 0o600)
        except OSError:
            return False
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of the process: a forked child has no part in it
        except OSError:
            os.close(file)
            return False
        self._held[duty] = file  # open until the process ends
        return True

    def collect(self) -> tuple[list[Look], list[Look]]:
        """Return the looks that came since the last time, and the last look of each process that was killed since."""
        if self._directory is None:
            return self._fresh("", list(self._published)), []
        new, killed = list[Look](), list[Look]()
        for file in self._look_files():
            lines = _lines(file)
            new += self._fresh(str(file), lines)
            pid = int(file.stem) if file.stem.isdigit() else 0
            if lines and pid and not Path("/proc", str(pid)).exists() and Path("/proc").exists():
                killed += filter(None, map(_look, lines[-1:]))
                self._newest.pop(str(file), None)
                with suppress(OSError):
                    file.unlink()
        return sorted(new, key=lambda look: look.at), killed

    def _look_files(self) -> Iterator[Path]:
        """A process that found no place in memory writes into the directory itself."""
        for directory in (self._memory, self._directory):
            with suppress(OSError):  # there is none
                if directory is not None and _alone(directory):
                    yield from directory.glob(f"*{_LOOK}")

    def _fresh(self, name: str, lines: list[str]) -> list[Look]:
        """Those after the one that was the newest the last time; a look is read once."""
        before = self._newest.get(name)
        unread = lines[lines.index(before) + 1 :] if before in lines else lines
        self._newest[name] = lines[-1] if lines else ""
        looks = [look for look in map(_look, unread) if look and look.at > self._read.get(look.pid, 0.0)]
        self._read |= {look.pid: look.at for look in looks}
        return looks

    def states(self) -> dict[int, str]:
        """What the operating system says of the processes on the board: "running", "stopped", "zombie"."""
        found = {}
        for pid in self._read:
            with suppress(OSError, IndexError):
                letter = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
                found[pid] = {"T": "stopped", "t": "stopped", "Z": "zombie", "X": "gone"}.get(letter, "running")
        return found

    def keep(self, state: State) -> None:
        """Save what outlives the leader."""
        self._write(_STATE, state.to_json())

    def kept(self) -> State:
        """Return what an earlier leader saved, or an empty state."""
        if self._directory is not None:
            with suppress(OSError, ValueError, KeyError, TypeError):
                return State.from_json(json.loads((self._directory / _STATE).read_text()))
        return State()

    def show(self, incidents: list[Incident]) -> None:
        """Show every process the incidents of the last day, those that go on among them."""
        if self._directory is None:
            self._incidents = (0, list(incidents))
        self._write(_INCIDENTS, [incident.to_json() for incident in incidents])

    def incidents(self) -> list[Incident]:
        """Return the open incidents of this host, the oldest first; none that nobody has looked after for long."""
        if not self._led():
            return []
        return [incident for incident in self.recent() if incident.ended_at is None]

    def _led(self) -> bool:
        """Whether some process has led within ABANDONED: the leader saves its state more often."""
        if self._directory is None or "leader" in self._held:
            return True
        with suppress(OSError):
            return time.time() - (self._directory / _STATE).stat().st_mtime < ABANDONED
        return True

    def recent(self) -> list[Incident]:
        """Return the incidents of the last day, open ones included, the oldest first."""
        if self._directory is None:
            return self._incidents[1]
        try:
            changed = (self._directory / _INCIDENTS).stat().st_mtime_ns
            if changed != self._incidents[0]:
                rows = json.loads((self._directory / _INCIDENTS).read_text())
                self._incidents = (changed, [Incident.from_json(row) for row in rows])
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return self._incidents[1]

    def show_history(self, slices: list[dict[str, Any]]) -> None:
        """Show every process the last hours."""
        self._history = slices
        self._write(_HISTORY, slices)

    def history(self) -> list[dict[str, Any]]:
        """Return the last hours as `History.to_json` made them."""
        return self._history if self._directory is None else _rows(self._directory / _HISTORY)

    def show_tickets(self, kept: dict[str, Any]) -> None:
        """Show every process what wears out: `open` holds [kind, subject, sentence, since, logged at] rows."""
        self._tickets = kept
        self._write(_TICKETS, kept)

    def tickets(self) -> dict[str, Any]:
        """Return what `show_tickets` was given last."""
        if self._directory is None:
            return self._tickets
        with suppress(OSError, ValueError):
            kept = json.loads((self._directory / _TICKETS).read_text())
            if isinstance(kept, dict):
                return kept
        return {}

    def publish_statements(self, rows: list[list[Any]]) -> None:
        """Show whoever asks the databases what this process sends them: [alias, text without values, calls] rows."""
        self._statements = rows
        self._write(f"{os.getpid()}{_STATEMENTS}", rows)

    def statements(self) -> dict[str, dict[str, float]]:
        """Return calls in an hour by database alias and text, of all processes that run."""
        found = dict[str, dict[str, float]]()
        for rows in [self._statements] if self._directory is None else list(self._statement_files(self._directory)):
            with suppress(TypeError, ValueError):
                for alias, text, calls in rows:
                    of = found.setdefault(alias, {})
                    of[text] = of.get(text, 0.0) + calls
        return found

    def _statement_files(self, directory: Path) -> Iterator[list[Any]]:
        for file in directory.glob(f"*{_STATEMENTS}"):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > ABANDONED + WINDOW:
                    file.unlink()  # of a process that was killed
                else:
                    yield _rows(file)

    def latest(self) -> list[Look]:
        """Return the newest look of each process."""
        published = [list(self._published)] if self._directory is None else map(_lines, self._look_files())
        return [look for lines in published for look in map(_look, lines[-1:]) if look]

    def claim(self, what: str) -> bool:
        """Whether this process is the first to claim it, so that one alone reports an incident."""
        if self._directory is None:
            mine = what not in self._claims
            self._claims.add(what)
            return mine
        try:
            os.close(os.open(self._directory / f"{what}.claim", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        except OSError:
            return True  # reporting it twice is better than never
        return True

    def claimed(self, what: str) -> bool:
        """Whether a process of this host has claimed it."""
        return what in self._claims if self._directory is None else (self._directory / f"{what}.claim").exists()

    def _write(self, name: str, values: Any) -> None:
        if self._directory is not None:
            _replace(self._directory, name, _packed(values))


def _packed(values: Any) -> str:
    return json.dumps(values, separators=(",", ":"))


def _replace(directory: Path, name: str, text: str) -> bool:
    """Write a file that nobody reads half of; whether that succeeded."""
    fresh = directory / f"{name}.{os.getpid()}.new"
    try:
        fresh.write_text(text)
        fresh.rename(directory / name)
    except OSError:
        return False
    return True


def _own(directory: Path | None) -> Path | None:
    """Make the directory, or close one of ours to others; None where that fails or others could write in it."""
    if directory is None:
        return None
    own, reason = _checked(directory)
    if own is None:
        log.warning("incidents_not_shared", reason=reason)
    return own


def _checked(directory: Path) -> tuple[Path | None, str]:
    """The directory where it is this user's alone and takes files, else why not."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _alone(directory):
            return None, "the directory is not this user's alone"
        directory.chmod(0o700)
        with tempfile.TemporaryFile(dir=directory):
            return directory, ""
    except OSError as error:
        return None, type(error).__name__


def _alone(directory: Path) -> bool:
    """Whether it is a directory of this user's that no other can write in. Raises OSError where there is none."""
    found = directory.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (OSError, ValueError):
        return []


def _rows(file: Path) -> list[Any]:
    try:
        rows = json.loads(file.read_text())
    except (OSError, ValueError):
        return []
    return rows if isinstance(rows, list) else []


def _look(line: str) -> Look | None:
    try:
        return Look.from_json(json.loads(line))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
