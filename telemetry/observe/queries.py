"""The one place a query is observed: named, measured, registered as in flight, reported to who asked for it.

An execute-wrapper of Django sees the ORM, raw SQL, `executemany` and `.iterator()`; the backend's cursors add what
passes it by: COPY, procedures, the fetches of a server-side cursor, COMMIT and ROLLBACK.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django.db import DEFAULT_DB_ALIAS

from telemetry import errors, traces
from telemetry.context import current
from telemetry.logger import get_logger
from telemetry.metrics import BoundedLabel, catalogue
from telemetry.metrics.containment import failsafe
from telemetry.observe.pool import Holder, Registry
from telemetry.observe.sql_summary import summarise

SLOW = 0.5
"""Seconds from which a query is logged as `db_query_slow`."""
MAX_SUMMARIES = 300
"""Distinct values of the label `query`; the rest are "other"."""

_NO_QUERIES = frozenset({"COMMIT", "ROLLBACK"})
"""Round trips that take time like a query and are counted as none."""
_READ_ONLY = "25006"
_FAULTS = frozenset({"42", "53", "54", "58", "XX"})
"""Classes of SQLSTATE: no such table or right, no room or memory, beyond its limits, i/o, corruption."""


class ObservedConnection(Protocol):
    """A connection wrapper of Django whose checkouts a registry knows."""

    alias: str
    connection: Any
    holder: Holder
    registry: Registry
    settings_dict: dict[str, Any]


log = get_logger(__name__)
_bounded = BoundedLabel(MAX_SUMMARIES)
_histograms: dict[str, Any] = {}


def observe(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """The execute-wrapper the backend installs once on each connection wrapper."""
    db: ObservedConnection = context["connection"]
    summary = summarise(sql)
    db.registry.statements.count(sql)
    name = named(summary, db.alias)
    holder, observation = db.holder, current()
    began = time.perf_counter()
    holder.begin(name, began)
    if observation is not None:
        observation.begin("query", name, began)
    error: BaseException | None = None
    try:
        return execute(sql, params, many, context)
    except BaseException as raised:
        error = raised
        raise
    finally:
        ended = time.perf_counter()
        holder.end(ended)
        if observation is not None:
            observation.end(ended)
        _finished(db, summary, began, ended, error)


def observe_plain(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """The same on another engine, whose pool and connections are not known."""
    summary = summarise(sql)
    began = time.perf_counter()
    error: BaseException | None = None
    try:
        return execute(sql, params, many, context)
    except BaseException as raised:
        error = raised
        raise
    finally:
        connection = context["connection"]
        where = connection.vendor, str(connection.settings_dict["NAME"])
        _tell(summary, connection.alias, began, time.perf_counter(), error, *where)


def watch_other_engines(connection: Any, **_signal: Any) -> None:
    """For Django's `connection_created`: count the queries of connections that are not our backend's."""
    if not hasattr(connection, "holder") and observe_plain not in connection.execute_wrappers:
        connection.execute_wrappers.append(observe_plain)


@contextmanager
def observing(db: ObservedConnection, summary: str, kind: str = "query") -> Iterator[None]:
    """The same for a round trip that no execute-wrapper sees. `kind`: of activity, "query" or "commit"."""
    began, name = time.perf_counter(), named(summary, db.alias)
    observation = current()
    db.holder.begin(name, began)
    if observation is not None:
        observation.begin(kind, name, began)
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        ended = time.perf_counter()
        db.holder.end(ended)
        if observation is not None:
            observation.end(ended)
        _finished(db, summary, began, ended, error)


@failsafe("queries")
def _finished(db: ObservedConnection, summary: str, began: float, ended: float, error: BaseException | None) -> None:
    if error is not None and db.connection is not None and db.connection.closed:
        db.registry.lost.append(ended)
    _tell(summary, db.alias, began, ended, error, "postgresql", db.settings_dict["NAME"])


@failsafe("queries")
def _tell(
    summary: str, alias: str, began: float, ended: float, error: BaseException | None, engine: str, namespace: str
) -> None:
    seconds, name = ended - began, named(summary, alias)
    observation = current()
    if observation is not None:
        observation.db_queries += summary not in _NO_QUERIES
        observation.db_ms += seconds * 1000
    measure(name, seconds)
    errors.step("query", name, "info" if error is None else "error")
    if seconds >= SLOW:
        route = observation.route if observation is not None else ""
        log.warning("db_query_slow", query=name, duration_ms=round(seconds * 1000, 1), route=route)
    if error is not None:
        _refused(name, error)
    traces.traced_query(summary, seconds, error, engine, namespace)


def _refused(name: str, error: BaseException) -> None:
    """Count what no customer's input can bring about."""
    reason = error.__cause__ or error  # Django's exception, because of psycopg's
    state = getattr(reason, "sqlstate", None) or ""
    if state == _READ_ONLY or state[:2] in _FAULTS:
        catalogue.db_query_errors.labels(label_of(name), type(reason).__name__).inc()


def measure(name: str, seconds: float) -> None:
    """Add a round trip to the histogram of its name."""
    try:
        histogram = _histograms[name]
    except KeyError:
        label = label_of(name)
        histogram = catalogue.db_query_duration.labels(label)
        if label == name:
            _histograms[name] = histogram
    histogram.observe(seconds, traces.exemplar())


def label_of(name: str) -> str:
    """The name of a query as a label of bounded cardinality."""
    return _bounded(name)


def named(summary: str, alias: str) -> str:
    """A query's name: its summary, and where it goes if that is not the default database: `SELECT item on archive`."""
    return summary if alias == DEFAULT_DB_ALIAS else f"{summary} on {alias}"
