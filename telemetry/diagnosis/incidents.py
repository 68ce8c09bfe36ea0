"""The incidents of this host: judged by the one process that leads, logged once, seen by all."""

import hashlib
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from telemetry import work
from telemetry.conf import conf, here, temporary
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.engine import Diagnosis, Event
from telemetry.diagnosis.history import History
from telemetry.diagnosis.model import Incident
from telemetry.diagnosis.runbook import runbook
from telemetry.logger import get_logger

INTERVAL = 1.0
"""Seconds between two judgements."""
SAVED = 30.0
"""Seconds between two times that what is usual is saved."""

log = get_logger("telemetry.incidents")
_board: Board | None = None


def board() -> Board:
    """The host's board; its directory is made when first asked for."""
    global _board
    if _board is None:
        _board = Board(directory())
    return _board


def _forget() -> None:
    """A forked child has none of the duties that its parent holds on its own board."""
    global _board
    _board = None


os.register_at_fork(after_in_child=_forget)


def directory() -> Path | None:
    """INCIDENTS_DIR, else one that every process started alike in this place finds; None where there is no place."""
    if conf.incidents_dir:
        return Path(conf.incidents_dir)
    base = temporary()
    if base is None:
        return None
    module = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    place = getattr(sys.modules.get(module), "__file__", None)  # two projects may begin in one directory
    name = "\0".join((str(here()), place or module, os.environ.get("PORT", "")))
    return Path(base, f"telemetry-{os.getuid()}-{hashlib.sha256(name.encode()).hexdigest()[:12]}")


def current() -> list[Incident]:
    """The incidents going on on this host, the oldest first; for health, the Operations page and error reports."""
    return board().incidents()


class Leader:
    """Judges the host's looks while this process leads. Not safe for several threads.

    `grace`: seconds before it tries to. A worker, which can be frozen, does not lead when the parent that has to judge
    it began a moment later.
    """

    def __init__(self, on: Board, grace: float = 0.0) -> None:
        self._board, self._from = on, time.monotonic() + grace
        self._diagnosis: Diagnosis | None = None
        self._history = History()
        self._saved = 0.0

    def step(self, at: float) -> list[Event]:
        """Judge what came since the last step, if this process leads. `at`: Unix seconds."""
        if time.monotonic() < self._from or not self._board.lead():
            return []
        if self._diagnosis is None:
            self._diagnosis = Diagnosis(self._board.kept())
            self._saved = at
        looks, killed = self._board.collect()
        for look in looks:
            for name, says in look.kinds.items():
                work.kind(name, says)  # this process may be a server's parent, which does not load the host
        for look in killed:
            self._diagnosis.exited(at, look)
        events = self._diagnosis.judge(at, looks, self._board.states())
        for event in events:
            report(event)
        if events:
            state = self._diagnosis.state
            self._board.show(sorted([*state.closed, *state.open], key=lambda incident: incident.started_at))
        if self._history.add(self._diagnosis.looks, at):
            self._board.show_history(self._history.to_json())
        if events or at - self._saved >= SAVED:
            self._board.keep(self._diagnosis.state)
            self._saved = at
        return events


class LeaderThread(threading.Thread):
    """A leader in a process that does nothing else, as a server's parent does: alive when every worker is stuck."""

    def __init__(self) -> None:
        super().__init__(name="telemetry-incidents", daemon=True)
        self._stopping = threading.Event()
        self._leader = Leader(board())
        board().lead()  # at once: a worker tries later
        self._failing = False

    def run(self) -> None:
        while not self._stopping.wait(INTERVAL):
            try:
                self._leader.step(time.time())
                self._failing = False
            except Exception:
                if not self._failing:  # once, not every second
                    log.exception("diagnosis_failed")
                self._failing = True

    def stop(self) -> None:
        self._stopping.set()


def report(event: Event) -> None:
    """Log an incident that opened or closed: one line each."""
    incident = event.incident
    values = {
        "id": incident.id,
        "symptom": incident.symptom.name,
        "cause": incident.cause.kind,
        "component": incident.cause.component,
        "route": incident.cause.route or incident.symptom.route,
        "runbook": runbook(incident),
        "started_at": datetime.fromtimestamp(incident.started_at, UTC).isoformat(timespec="milliseconds"),
    }
    if event.kind == "opened":
        # The tracker gets it as an incident, grouped by cause; the line itself is not for it.
        log.error("incident_opened", message=incident.sentence, sentry=False, **values)
    else:
        seconds = round(max((incident.ended_at or incident.opened_at) - incident.started_at, 0.0), 1)
        log.warning("incident_closed", duration_seconds=seconds, consequences=incident.consequences, **values)
