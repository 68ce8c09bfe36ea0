"""Faults of the database, made from outside the application."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

import psycopg
from psycopg import sql

from ops.drills.processes import of_postgresql, paused
from ops.drills.scene import Scene

Fault = Callable[[Scene], AbstractContextManager[None]]


def locked(table: str) -> Fault:
    """Another session locks a table."""
    return _in_session(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))


def rows_locked(table: str) -> Fault:
    """Another session has locked every row of a table and idles in its transaction: nobody can finish a booking."""
    return _in_session(sql.SQL("SELECT * FROM {} FOR UPDATE").format(sql.Identifier(table)))


def _in_session(statement: sql.SQL | sql.Composed) -> Fault:
    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        with psycopg.connect(scene.database_url) as session:
            session.execute(statement)
            try:
                yield
            finally:
                session.rollback()

    return fault


advisory_lock = _in_session(sql.SQL("SELECT pg_advisory_xact_lock(4711)"))
"""Another session holds an advisory lock that a page asks for."""


def slow_table(table: str, seconds: float = 3.0) -> Fault:
    """Reading a table takes that long: a view that sleeps has taken its place."""

    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        name, hidden = sql.Identifier(table), sql.Identifier(f"{table}_fast")
        make = "CREATE VIEW {} AS WITH slept AS MATERIALIZED (SELECT pg_sleep({})) SELECT {}.* FROM {}, slept"
        with psycopg.connect(scene.database_url, autocommit=True) as session:
            with session.transaction():
                session.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(name, hidden))
                session.execute(sql.SQL(make).format(name, sql.Literal(seconds), hidden, hidden))
            try:
                yield
            finally:
                with session.transaction():
                    session.execute(sql.SQL("DROP VIEW {}").format(name))
                    session.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(hidden, name))

    return fault


def prepare_parts(scene: Scene) -> None:
    """Make a big table with an index that a page's query needs."""
    with psycopg.connect(scene.database_url, autocommit=True) as session:
        session.execute(
            "CREATE TABLE broken_parts AS SELECT g AS number, md5(g::text) FROM generate_series(1, 4000000) g"
        )
        session.execute("CREATE INDEX broken_parts_number ON broken_parts (number)")
        session.execute("ANALYZE broken_parts")


@contextmanager
def index_dropped(scene: Scene) -> Iterator[None]:
    """The index of a big table is dropped: each look-up reads all of it."""
    with psycopg.connect(scene.database_url, autocommit=True) as session:
        session.execute("DROP INDEX broken_parts_number")
        try:
            yield
        finally:
            session.execute("CREATE INDEX broken_parts_number ON broken_parts (number)")


def column_renamed(table: str, column: str) -> Fault:
    """A change by hand: a column that the release reads has another name."""

    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        name, old, new = sql.Identifier(table), sql.Identifier(column), sql.Identifier(f"{column}_old")
        rename = sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}")
        with psycopg.connect(scene.database_url, autocommit=True) as session:
            session.execute(rename.format(name, old, new))
            try:
                yield
            finally:
                session.execute(rename.format(name, new, old))

    return fault


@contextmanager
def stopped(scene: Scene) -> Iterator[None]:
    """The database server is stopped."""
    scene.database.stop()
    try:
        yield
    finally:
        scene.database.start()


@contextmanager
def frozen(scene: Scene) -> Iterator[None]:
    """The database server hangs: every process of it is stopped, and connections wait for ever."""
    with paused(of_postgresql(scene.directory / "pg")):
        yield


@contextmanager
def full(scene: Scene) -> Iterator[None]:
    """Other clients take every connection, after the site's own were cut."""
    with ExitStack() as stack, psycopg.connect(scene.database_url, autocommit=True) as first:
        role = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        with suppress(psycopg.OperationalError):
            for _ in range(3):
                first.execute(role + "pg_backend_pid() AND application_name NOT LIKE 'filler'")
                for _ in range(200):
                    stack.enter_context(psycopg.connect(scene.database_url, application_name="filler"))
        yield


def set_to(name: str, value: str) -> Fault:
    """A setting of the server is changed, for everybody."""

    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        setting = sql.Identifier(name)
        with psycopg.connect(scene.database_url, autocommit=True) as session:
            session.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(setting, sql.Literal(value)))
            session.execute("SELECT pg_reload_conf()")
            try:
                yield
            finally:
                session.execute("SET default_transaction_read_only = off")
                session.execute(sql.SQL("ALTER SYSTEM RESET {}").format(setting))
                session.execute("SELECT pg_reload_conf()")

    return fault
