"""Incidents go from the board into the database, in the background.

The board is the queue: it holds the incidents of the last day, at most as many as the diagnosis remembers, and what
the database does not take now it takes later. One process of a host writes; a row is an incident's id, so that one
which takes over writes nothing twice.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from django.db import connection as django_connection

from telemetry.diagnosis.board import Board
from telemetry.diagnosis.model import Incident
from telemetry.diagnosis.records import IncidentRecord
from telemetry.logger import get_logger
from telemetry.observe import probe

RETRY = 10.0
"""Seconds after an attempt that failed."""
TIMEOUT = 5.0
"""Seconds a statement may take."""

_COLUMNS = [field.name for field in IncidentRecord._meta.fields]
_CHANGING = [name for name in _COLUMNS if name != "id"]
_values = attrgetter(*_COLUMNS)
_TABLE, _MARKS = IncidentRecord._meta.db_table, ", ".join(["%s"] * len(_COLUMNS))
_SET = ", ".join(f"{name} = excluded.{name}" for name in _CHANGING)
_UPSERT = f"INSERT INTO {_TABLE} ({', '.join(_COLUMNS)}) VALUES ({_MARKS}) ON CONFLICT (id) DO UPDATE SET {_SET}"  # noqa: S608 - the model's own names

log = get_logger("telemetry.incidents")


def record(incident: Incident) -> IncidentRecord:
    """An incident as a row."""
    symptom, cause = incident.symptom, incident.cause
    return IncidentRecord(
        id=incident.id,
        symptom=symptom.name[:100],
        cause=cause.kind[:100],
        component=cause.component[:300],
        route=(cause.route or symptom.route)[:300],
        sentence=incident.sentence,
        consequences="\n".join(incident.consequences),
        started_at=datetime.fromtimestamp(incident.started_at, UTC),
        ended_at=datetime.fromtimestamp(incident.ended_at, UTC) if incident.ended_at else None,
    )


def write(incidents: Sequence[Incident]) -> None:
    """Write incidents, new ones and those that have changed. Raises the database's errors."""
    rows = [record(incident) for incident in incidents]
    if not probe.speaks_psycopg():
        try:
            IncidentRecord.objects.bulk_create(
                rows, update_conflicts=True, unique_fields=["id"], update_fields=_CHANGING
            )
        finally:
            django_connection.close()  # this thread's own
        return
    with probe.connect("default", "incidents", TIMEOUT, lock_timeout=2) as connection, connection.transaction():
        connection.cursor().executemany(_UPSERT, [_values(row) for row in rows])


class Writer:
    """Brings the board's incidents into the database. `offer` is called by one thread, and waits for nothing."""

    def __init__(self, board: Board, write: Callable[[Sequence[Incident]], None] = write) -> None:
        self._board, self._write = board, write
        self._written: dict[str, Any] = {}
        self._thread: threading.Thread | None = None
        self._again_at = 0.0
        self._failing = False

    def offer(self, incidents: Sequence[Incident]) -> None:
        """Begin to write what has not been written, if this process is the one that writes."""
        new = [each for each in incidents if self._written.get(each.id) != _state(each)]
        if not new or (self._thread is not None and self._thread.is_alive()) or time.monotonic() < self._again_at:
            return
        if self._board.hold("writer"):
            self._thread = threading.Thread(target=self._run, args=(new,), name="telemetry-incidents-db", daemon=True)
            self._thread.start()

    def _run(self, incidents: Sequence[Incident]) -> None:
        states = {each.id: _state(each) for each in incidents}
        try:
            self._write(incidents)
        except Exception as error:  # whatever it is: they stay on the board
            self._again_at = time.monotonic() + RETRY
            if not self._failing:  # once, not at every attempt
                log.warning("incidents_not_stored", waiting=len(incidents), error_type=type(error).__name__)
            self._failing = True
            return
        self._failing = False
        self._written = {each.id: self._written.get(each.id) for each in self._board.recent()} | states


def _state(incident: Incident) -> tuple[Any, ...]:
    """What of an incident changes."""
    return incident.ended_at, incident.sentence, len(incident.consequences)
