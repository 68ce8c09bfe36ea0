"""Is the database there? One round trip on a connection of its own, outside the pool, never awaited for long."""

import os
import select
import threading
import time
from typing import Any, Literal, NamedTuple

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from telemetry.metrics import catalogue
from telemetry.observe.drivers import psycopg

LIMIT = 0.5
"""Seconds anyone waits for the answer."""
TTL = 0.25
"""Seconds an answer is good for: a flood of probes costs the database four round trips a second per process."""
_CONNECT = 2.0
"""Seconds, the least libpq knows."""

Reason = Literal["", "refused", "timeout", "full"]


class Reachability(NamedTuple):
    """What a probe found. `at`: when it ended, seconds of `time.perf_counter()`."""

    ok: bool
    reason: Reason
    at: float


class DatabaseProbe:
    """One probe at a time: whoever asks meanwhile shares it, or the last answer when that one is known to be bad."""

    def __init__(self, alias: str = "default", question: str = "SELECT 1") -> None:
        """`question` must be answered with a row, or the database counts as refusing."""
        self.last: Reachability | None = None
        self._alias, self._question = alias, question.encode()
        self._dependency = "database" if alias == "default" else alias
        self._lock = threading.Lock()
        self._flight: threading.Event | None = None
        self._connection: Any = None

    def check(self, limit: float = LIMIT) -> Reachability:
        """The answer, at most TTL old, within `limit` seconds; no answer by then is one: "timeout"."""
        with self._lock:
            last, flight = self.last, self._flight
            if last is not None and time.perf_counter() - last.at < TTL:
                return last
            if flight is None:
                flight = self._flight = threading.Event()
                threading.Thread(target=self._fly, args=(flight,), name="telemetry-probe", daemon=True).start()
            elif last is not None and not last.ok and limit <= LIMIT:
                return last  # it was down and is being asked again: nobody queues behind that
        if flight.wait(limit) and self.last is not None:
            return self.last
        late = Reachability(False, "timeout", time.perf_counter())
        with self._lock:
            if self._flight is flight:
                self.last = late
        return late

    def _fly(self, flight: threading.Event) -> None:
        try:
            reason = self._round_trip()
        except Exception:  # a fault of the probe itself must not leave its callers waiting
            reason = "refused"
        with self._lock:
            self.last = Reachability(not reason, reason, time.perf_counter())
            self._flight = None
        catalogue.dependency_up.labels(self._dependency).set(not reason)
        flight.set()

    def _round_trip(self) -> Reason:
        """Ask on the kept connection; when that one is broken, on a new one, so that a restart is no outage."""
        if not speaks_psycopg(self._alias):
            return _through_django(self._alias)
        kept = self._connection
        try:
            if kept is not None and not kept.closed:
                try:
                    _ask(kept, LIMIT, self._question)
                    return ""
                except psycopg.OperationalError:
                    kept.close()
            self._connection = self._connect()
            _ask(self._connection, LIMIT, self._question)
        except (TimeoutError, psycopg.errors.ConnectionTimeout):
            self._drop()
            return "timeout"
        except psycopg.OperationalError as error:
            self._drop()
            return "full" if _is_full(error) else "refused"
        return ""

    def users(self) -> dict[str, int]:
        """Connections by who has them, asked on the kept connection; nothing when there is none, or it is in use."""
        with self._lock:
            if self._flight is not None or self._connection is None:
                return {}
            flight = self._flight = threading.Event()
        try:
            return {name: int(number) for name, number in _rows(self._connection, LIMIT, _USERS)}
        except (TimeoutError, psycopg.Error):
            self._drop()
            return {}
        finally:
            with self._lock:
                self._flight = None
            flight.set()

    def _connect(self) -> Any:
        return connect(self._alias, "health", _CONNECT)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def forget(self) -> None:
        """A forked child shares nothing with its parent; without closing, which would close the parent's session."""
        inherited = getattr(self, "_inherited", [])
        self._inherited = [*inherited, self._connection]
        self.last = self._flight = self._connection = None
        self._lock = threading.Lock()


def speaks_psycopg(alias: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether an alias is a PostgreSQL that can be asked beside Django."""
    return psycopg is not None and connections[alias].vendor == "postgresql"


def _through_django(alias: str) -> Reason:
    """Another engine: on this thread's own connection, through Django."""
    connection = connections[alias]
    if connection.vendor == "unknown":  # the host has no database, so none is missing
        return ""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "refused"
    finally:
        connection.close()
    return ""


def connect(
    alias: str, purpose: str, timeout: float, *, lock_timeout: float | None = None, prepare: bool = False
) -> Any:
    """Open a connection of an alias outside its pool, in autocommit; statements get `timeout` seconds.

    Through a pooler in transaction mode neither time-outs of a session nor prepared statements exist: there, what the
    role has been given holds. Raises psycopg.OperationalError.
    """
    parameters: dict[str, Any] = {
        **connections[alias].get_connection_params(),
        "connect_timeout": _CONNECT,
        "tcp_user_timeout": int(_CONNECT * 1000),
        "application_name": f"telemetry-{purpose}",
    }
    if not pooled(alias):
        limits = {"statement_timeout": timeout, "lock_timeout": lock_timeout}
        parameters["options"] = " ".join(f"-c {name}={int(s * 1000)}" for name, s in limits.items() if s is not None)
        parameters["prepare_threshold"] = 5 if prepare else None
    return psycopg.connect(**parameters, autocommit=True)


def pooled(alias: str) -> bool:
    """Whether a pooler in transaction mode is between us and the database, by Django's setting for that."""
    return bool(connections[alias].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"))


def _ask(connection: Any, seconds: float, question: bytes) -> None:
    """One question, which must be answered with one row; raises as `_rows`."""
    if len(_rows(connection, seconds, question)) != 1:
        raise psycopg.OperationalError("the probe's query failed")


def _rows(connection: Any, seconds: float, question: bytes) -> list[list[str]]:
    """The rows of an answer through libpq's asynchronous calls: the only ones that take a deadline.

    Raises TimeoutError when no answer came in time, psycopg.OperationalError when the connection is broken.
    """
    deadline = time.perf_counter() + seconds
    pgconn = connection.pgconn
    pgconn.send_query(question)
    pgconn.flush()
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    rows: list[list[str]] = []
    while True:
        while pgconn.is_busy():
            left = deadline - time.perf_counter()
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return rows
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError("the probe's query failed")
        columns = range(result.nfields)
        rows += [
            [(result.get_value(row, column) or b"").decode() for column in columns] for row in range(result.ntuples)
        ]


_USERS = b"""
    SELECT coalesce(nullif(application_name, ''), 'user ' || usename, 'unnamed'), count(*)
    FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1 ORDER BY 2 DESC LIMIT 10
"""


def full(alias: str = DEFAULT_DB_ALIAS) -> dict[str, int] | None:
    """Who has the connections, where the database takes no more; None while it takes one. Waits for two seconds."""
    if not speaks_psycopg(alias):
        return None
    try:
        connect(alias, "health", _CONNECT).close()
    except psycopg.OperationalError as error:
        return database.users() if _is_full(error) else None
    return None


def _is_full(error: Exception) -> bool:
    return "too many" in str(error) or "reserved for" in str(error)


database = DatabaseProbe()
os.register_at_fork(after_in_child=database.forget)
