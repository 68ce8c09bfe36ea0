"""Rows of page views, written in batches by a thread of their own over a connection of their own.

A request only appends to a bounded queue. The thread takes no connection of the customers' pool, waits out a database
that is down while there is room, and at stop writes what is left within STOP_TIMEOUT; whatever is lost is counted in
`telemetry_dropped_total{pipeline="rum"}` and logged in one line.
"""

import atexit
import os
import threading
from collections import Counter, deque
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple

from django.db import DataError, IntegrityError, ProgrammingError, transaction
from django.db import connection as django_connection
from django.db.models import F, Model

from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.observe import probe
from telemetry.observe.drivers import psycopg
from telemetry.rum.beacon import Beacon
from telemetry.rum.causes import Cause
from telemetry.rum.models import RumCause, RumDaily, RumSample, bucket
from telemetry.rum.tokens import PageToken

ROOM = 5000
BATCH = 500
INTERVAL = 1.0
"""Seconds a row may wait for others."""
RETRY = 2.0
STOP_TIMEOUT = 2.0

VITALS = ("lcp", "cls", "inp", "fcp", "ttfb")

log = get_logger("telemetry.rum")


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of RumSample, in their order; which vitals are part of the day's distributions, by column; and what
    those hung on."""

    received_at: datetime
    route: str
    device: str
    navigation: str
    release: str
    trace_id: str
    part: int
    lcp: float | None
    cls: float | None
    inp: float | None
    fcp: float | None
    ttfb: float | None
    load: float | None
    js_errors: int
    counted: tuple[str, ...] = VITALS
    causes: tuple[Cause, ...] = ()

    @staticmethod
    def of(
        beacon: Beacon,
        page: PageToken,
        device: str,
        vitals: dict[str, float],
        received: float,
        js_errors: int,
        counted: tuple[str, ...],
        causes: tuple[Cause, ...],
    ) -> "Row":
        """The row of a beacon that arrived at `received` (seconds since the epoch).

        `vitals` in seconds; `counted` names those that the client counts for.
        """
        return Row(
            datetime.fromtimestamp(received, UTC),
            page.route[:200],
            device,
            beacon.navigation,
            page.release[:100],
            page.trace_id,
            beacon.part,
            vitals.get("LCP"),
            vitals.get("CLS"),
            vitals.get("INP"),
            vitals.get("FCP"),
            vitals.get("TTFB"),
            None if beacon.loaded is None else beacon.loaded / 1000,
            js_errors,
            tuple(name.lower() for name in counted),
            causes,
        )


_COLUMNS = [field.name for field in fields(Row) if field.name not in ("counted", "causes")]
_COPY = f"COPY {RumSample._meta.db_table} ({', '.join(_COLUMNS)}) FROM STDIN"
_values = attrgetter(*_COLUMNS)
_REFUSED: tuple[type[Exception], ...] = (DataError, IntegrityError, ProgrammingError)
if psycopg is not None:
    _REFUSED += (psycopg.errors.DataError, psycopg.errors.IntegrityError, psycopg.ProgrammingError)
_ADD = """
INSERT INTO telemetry_rumdaily AS daily (day, route, device, vital, bucket, count) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (day, route, device, vital, bucket) DO UPDATE SET count = daily.count + excluded.count
"""
_ADD_CAUSE = """
INSERT INTO telemetry_rumcause AS cause (day, route, device, vital, target, event, part, count, total)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (day, route, device, vital, target, event, part)
DO UPDATE SET count = cause.count + excluded.count, total = cause.total + excluded.total
"""


class _Sums(NamedTuple):
    """What a batch adds to its days: rows of RumDaily and of RumCause, by key."""

    distributions: list[tuple[Any, ...]]
    causes: list[tuple[Any, ...]]


def _sums(rows: list[Row]) -> _Sums:
    """Sorted, so that two processes lock the same rows in the same order."""
    counts = Counter(
        (row.received_at.date(), row.route, row.device, vital, bucket(value))
        for row in rows
        for vital in row.counted
        if (value := getattr(row, vital)) is not None
    )
    causes: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        for cause in row.causes:
            key = (row.received_at.date(), row.route, row.device, cause.vital.lower(), cause.target, cause.event)
            unit = 1 if cause.vital == "CLS" else 1000
            for part, value in {"": cause.value, **cause.parts}.items():
                sums = causes.setdefault((*key, part), [0, 0.0])
                sums[0] += 1
                sums[1] += value / unit
    return _Sums(
        [(*key, count) for key, count in sorted(counts.items())],
        [(*key, int(count), total) for key, (count, total) in sorted(causes.items())],
    )


def connect() -> Any:
    """A connection beside the customers' pool, in autocommit, whose statements take 5 s at most."""
    return probe.connect("default", "rum", 5, lock_timeout=2, prepare=True)


def write(rows: list[Row]) -> None:
    """Write rows and add them to their days' sums, both or neither. Raises the database's errors."""
    added = _sums(rows)
    if not probe.speaks_psycopg():
        _write_through_django(rows, added)
        return
    with connect() as connection, connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(_values(row))
        cursor.executemany(_ADD, added.distributions)
        cursor.executemany(_ADD_CAUSE, added.causes)


def _write_through_django(rows: list[Row], added: _Sums) -> None:
    """On another engine: over this thread's own connection, which ends with the batch."""
    try:
        with transaction.atomic():
            RumSample.objects.bulk_create([RumSample(**dict(zip(_COLUMNS, _values(row), strict=True))) for row in rows])
            for *key, count in added.distributions:
                _add(RumDaily, ("day", "route", "device", "vital", "bucket"), key, count=count)
            for *key, count, total in added.causes:
                _add(
                    RumCause,
                    ("day", "route", "device", "vital", "target", "event", "part"),
                    key,
                    count=count,
                    total=total,
                )
    finally:
        django_connection.close()


def _add(model: type[Model], names: tuple[str, ...], key: list[Any], **sums: float) -> None:
    named = dict(zip(names, key, strict=True))
    if not model._default_manager.filter(**named).update(**{name: F(name) + value for name, value in sums.items()}):
        model._default_manager.create(**named, **sums)


def purge(before: datetime, batch: int = 10_000) -> int:
    """Delete what arrived before a moment, in short transactions, and return how many rows that were."""
    deleted = 0
    day = before.astimezone(UTC).date()
    if not probe.speaks_psycopg():
        deleted, _ = RumSample.objects.filter(received_at__lt=before).delete()
        for model in (RumDaily, RumCause):
            model._default_manager.filter(day__lt=day).delete()
        log.info("rum_purged", rows=deleted)
        return deleted
    with connect() as connection:
        while True:
            done: int = connection.execute(
                "DELETE FROM telemetry_rumsample WHERE id IN (SELECT id FROM telemetry_rumsample"
                " WHERE received_at < %s ORDER BY id LIMIT %s)",
                (before, batch),
            ).rowcount
            deleted += done
            if done < batch:
                break
        connection.execute("DELETE FROM telemetry_rumdaily WHERE day < %s", (day,))
        connection.execute("DELETE FROM telemetry_rumcause WHERE day < %s", (day,))
    log.info("rum_purged", rows=deleted)
    return deleted


class Writer:
    """The queue and its thread, in one process."""

    def __init__(self) -> None:
        self._rows = deque[Row]()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def put(self, row: Row) -> bool:
        """Take a row for writing; False (and counted) when there is no room."""
        with self._wake:
            if len(self._rows) >= ROOM or self._stopping:
                catalogue.telemetry_dropped.labels("rum", "stopping" if self._stopping else "queue_full").inc()
                return False
            self._rows.append(row)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rum-writer", daemon=True)
                self._thread.start()
                atexit.register(self.stop)
            if len(self._rows) == BATCH:
                self._wake.notify()
        return True

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Write what is left; what is not written after `timeout` (s) is counted and logged. Harmless a second time."""
        with self._wake:
            if self._thread is None or self._stopping:
                return
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout)
        if lost := len(self._rows):
            catalogue.telemetry_dropped.labels("rum", "stopped").inc(lost)
            log.error("rum_rows_lost", rows=lost, reason="not written in time at stop")

    def _run(self) -> None:
        failed = False
        while True:
            with self._wake:
                if failed:
                    self._wake.wait_for(lambda: self._stopping, RETRY)
                else:
                    self._wake.wait_for(lambda: self._stopping or len(self._rows) >= BATCH, INTERVAL)
                stopping = self._stopping
                batch = [self._rows[i] for i in range(min(BATCH, len(self._rows)))]
            if batch:
                failed = not self._write(batch)
            if stopping and (failed or not self._rows):
                return

    def _write(self, batch: list[Row]) -> bool:
        """Write a batch and take it off the queue; False when the database may take it later."""
        try:
            write(batch)
        except _REFUSED as error:
            # It would be refused again and hold up all that follows.
            catalogue.telemetry_dropped.labels("rum", "refused").inc(len(batch))
            log.error("rum_rows_lost", rows=len(batch), reason=type(error).__name__)
        except Exception as error:  # the thread must live: whatever it is, the rows can wait
            log.warning("rum_write_failed", waiting=len(self._rows), error_type=type(error).__name__)
            return False
        with self._wake:
            for _ in batch:
                self._rows.popleft()
        return True


_writer: Writer | None = None
_owner = 0
_lock = threading.Lock()


def _current() -> Writer:
    """This process's writer: a fork inherits the object, but neither its thread nor its rows."""
    global _writer, _owner
    with _lock:
        if _writer is None or _owner != os.getpid():
            _writer, _owner = Writer(), os.getpid()
        return _writer


def put(row: Row) -> None:
    """Queue a row for writing. Never waits, never raises; what finds no room is counted."""
    _current().put(row)


def stop() -> None:
    """Write what this process still holds, within STOP_TIMEOUT."""
    _current().stop()
