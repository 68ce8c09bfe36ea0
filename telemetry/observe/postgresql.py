"""Django's PostgreSQL backend that reports its checkouts and queries (ENGINE = "telemetry.postgresql")."""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

from telemetry.observe import pool, queries
from telemetry.observe.sql_summary import summarise


class ObservedCursor(CursorWrapper):
    """Adds what Django's execute-wrappers do not see."""

    db: "DatabaseWrapper"

    @contextmanager
    def copy(self, statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """COPY, in flight for as long as its block."""
        with queries.observing(self.db, summarise(statement)), self.cursor.copy(statement, *args, **kwargs) as copy:
            yield copy

    def callproc(self, procname: Any, params: Any = None, kparams: Any = None) -> Any:
        """A function called by name."""
        with queries.observing(self.db, f"CALL {procname}"):
            return super().callproc(procname, params, kparams)


class ObservedServerSideCursor(ObservedCursor):
    """DECLARE returns at once; the query runs in the fetches, so they go by its name."""

    summary = "FETCH"

    def execute(self, sql: Any, params: Any = None) -> Any:
        self.summary = summarise(sql)
        return super().execute(sql, params)

    def fetchone(self) -> Any:
        with queries.observing(self.db, self.summary), self.db.wrap_database_errors:
            return self.cursor.fetchone()

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        with queries.observing(self.db, self.summary), self.db.wrap_database_errors:
            return self.cursor.fetchmany(*args, **kwargs)

    def fetchall(self) -> Any:
        with queries.observing(self.db, self.summary), self.db.wrap_database_errors:
            return self.cursor.fetchall()


class DatabaseWrapper(base.DatabaseWrapper):
    """One per thread and alias, reused for checkout after checkout: the place to install a wrapper once."""

    _connection_pools: dict[str, Any] = {}  # noqa: RUF012 - annotated as Django's own; shared on purpose

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registry = pool.registry(self.alias)
        self.holder = pool.Holder()
        self.execute_wrappers.append(queries.observe)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection, self.holder = self.registry.check_out(lambda: self._live_connection(conn_params), self.pool)
        return connection

    def _live_connection(self, conn_params: dict[str, Any]) -> Any:
        """After a restart of the server the pool's idle connections are dead: pass them by, without a round trip."""
        connection = super().get_new_connection(conn_params)
        while self.pool and _hung_up(connection):
            connection.close()
            self.pool.putconn(connection)
            self.registry.lost.append(time.perf_counter())
            connection = super().get_new_connection(conn_params)
        return connection

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]  # the stubs omit it
        finally:
            self.registry.check_in(self.holder)

    def _commit(self) -> None:
        if self.connection is not None:
            with queries.observing(self, "COMMIT", "commit"):
                super()._commit()  # type: ignore[misc]  # the stubs omit it

    def _rollback(self) -> None:
        if self.connection is not None:
            with queries.observing(self, "ROLLBACK", "commit"):
                super()._rollback()  # type: ignore[misc]  # the stubs omit it

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        kind = ObservedServerSideCursor if isinstance(cursor, psycopg.ServerCursor) else ObservedCursor
        return kind(cursor, self)


def _hung_up(connection: psycopg.Connection) -> bool:
    """Whether the server closed an idle connection: it has something to read, and reading finds the end."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return False
    from psycopg_pool import ConnectionPool  # with a pool alone

    try:
        ConnectionPool.check_connection(connection)  # else a notice or a notification: keep the connection
    except psycopg.Error:
        return True
    return False


_inherited: list[dict[str, Any]] = []


def _forget_pools() -> None:
    """A pool opened before a fork would be shared with the parent, silently; the child opens its own."""
    pools = DatabaseWrapper._connection_pools  # noqa: SLF001 - docs/private-names.md
    _inherited.append(dict(pools))  # kept: collecting it would close the parent's sockets
    pools.clear()


os.register_at_fork(after_in_child=_forget_pools)
