"""What PostgreSQL will suffer from in days: read only, a few bounded queries, on a connection of their own.

`Trends` holds what is compared with earlier readings: how fast things fill up, and how tables are read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections

from telemetry.diagnosis import missing_index
from telemetry.observe import pool, probe
from telemetry.observe.drivers import psycopg
from telemetry.observe.queries import named
from telemetry.tickets import Ticket

TIMEOUT = 2.0
"""Seconds one query may take."""
HELD = 900
"""Seconds that a transaction may be open."""
RETAINED = 1 << 30
"""Bytes of write-ahead log that a replication slot may hold back."""
BIG, ROWS = 10_000, 0.5
"""Rows from which a table is worth an index, and the share of them that a scan reads when it lacks one."""
OFTEN = 20
"""Such scans in an hour that are many."""
DEAD, CHANGED = 0.3, 0.5
"""Shares of a table's rows: dead ones, and those changed since its statistics were made."""
SHARE, AHEAD = 0.8, 30 * 86_400.0
"""Of a resource, from which it is short; and the seconds within which it will be."""
MOST = 20
"""Tickets of a kind."""
READINGS, HISTORY = 24 * 14, 86_400.0
"""Hourly readings kept, and the seconds of them that a forecast needs."""

_TRANSACTIONS = """
    SELECT coalesce(nullif(application_name, ''), usename, 'an unnamed session'), state,
           extract(epoch FROM now() - xact_start)::float
    FROM pg_stat_activity
    WHERE xact_start < now() - make_interval(secs => %s) AND backend_type = 'client backend'
    UNION ALL
    SELECT 'a prepared transaction', 'prepared', extract(epoch FROM now() - prepared)::float
    FROM pg_prepared_xacts WHERE prepared < now() - make_interval(secs => %s)
    ORDER BY 3 DESC LIMIT 20
"""
_SLOTS = """
    SELECT slot_name, active, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint, wal_status
    FROM pg_replication_slots WHERE NOT pg_is_in_recovery() LIMIT 100
"""
_TABLES = """
    SELECT CASE WHEN pg_table_is_visible(relid) THEN s.relname ELSE schemaname || '.' || s.relname END,
           schemaname, s.relname, relpages,
           n_live_tup, n_dead_tup, n_mod_since_analyze, seq_scan, seq_tup_read, coalesce(idx_scan, 0)
    FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = relid ORDER BY n_live_tup + n_dead_tup DESC LIMIT 300
"""
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid LIMIT 20"
_CONNECTIONS = """
    SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity WHERE backend_type = 'client backend'
"""
_AGE = """
    SELECT max(age(datfrozenxid)), current_setting('autovacuum_freeze_max_age')::bigint FROM pg_database
"""
_NUMBERS = """
    SELECT sequencename, last_value, max_value FROM pg_sequences WHERE last_value > %s * max_value LIMIT 20
"""
IDS = 2**31 - 3_000_000
"""Transaction ids after which PostgreSQL takes no more writes."""


@dataclass(slots=True)
class Trends:
    """Earlier readings. `used`: (when, share used) by resource; `scans`: (when, scans, rows read) by table."""

    used: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    scans: dict[str, tuple[float, int, int]] = field(default_factory=dict)

    def read(self, name: str, at: float, share: float, of: str) -> str:
        """Take in a reading; return the sentence on it, or nothing while there is enough. `of`: what is used."""
        readings = self.used.setdefault(name, [])
        readings.append((at, share))
        del readings[:-READINGS]
        day = runs_out(readings)
        if share >= SHARE or (day is not None and day <= at + AHEAD):
            when = (
                f", and all of them will be on {datetime.fromtimestamp(day, UTC):%d %B %Y}" if day is not None else ""
            )
            return f"{share:.0%} of {of} are used{when}."
        return ""

    def to_json(self) -> dict[str, Any]:
        return {"used": self.used, "reads": self.scans}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Trends":
        """Read what `to_json` made. Raises KeyError, TypeError or ValueError when it is of another shape."""
        used = {name: [(at, share) for at, share in readings] for name, readings in values["used"].items()}
        return cls(used, {name: (at, scans, rows) for name, (at, scans, rows) in values.get("reads", {}).items()})


def runs_out(readings: list[tuple[float, float]]) -> float | None:
    """When a share reaches 1 if it goes on as over the readings (a line by least squares); None if it never does.

    Nothing is said of less than HISTORY seconds, nor of a growth that is smaller than what it varies by.
    """
    if not readings or readings[-1][0] - readings[0][0] < HISTORY:
        return None
    number = len(readings)
    mean_at, mean = sum(at for at, _ in readings) / number, sum(share for _, share in readings) / number
    spread = sum((at - mean_at) ** 2 for at, _ in readings)
    rate = sum((at - mean_at) * (share - mean) for at, share in readings) / spread
    varies = (sum((share - mean - rate * (at - mean_at)) ** 2 for at, share in readings) / number) ** 0.5
    grown = rate * (readings[-1][0] - readings[0][0])
    if rate <= 0 or grown < max(2 * varies, 0.01):
        return None
    return max(mean_at + (1 - mean) / rate, readings[-1][0])


def databases() -> Iterator[tuple[str, bool]]:
    """The PostgreSQL databases that this process uses, each once, by alias; and whether to ask its server as well."""
    asked, servers = set[tuple[str, ...]](), set[tuple[str, ...]]()
    used = (
        alias for alias in pool.registries() if alias in connections.settings
    )  # not what Django makes a database with
    for alias in filter(probe.speaks_psycopg, used):
        settings = connections[alias].settings_dict
        server = str(settings["HOST"]), str(settings["PORT"])
        place = (*server, str(settings["NAME"]))
        if place not in asked:
            yield alias, server not in servers
        asked.add(place)
        servers.add(server)


def tickets(
    at: float,
    trends: Trends,
    alias: str = DEFAULT_DB_ALIAS,
    *,
    server: bool = True,
    statements: Mapping[str, float] = MappingProxyType({}),
) -> Iterator[Ticket]:
    """What a database shows, and with `server` what that does. Raises psycopg.Error when it does not answer.

    `statements`: what this host sends it, calls in an hour by text without values.
    """
    with probe.connect(alias, "slow-burn", TIMEOUT, lock_timeout=0.5) as connection:
        connection.execute("SET default_transaction_read_only = on")
        yield from _tables(connection, alias, at, trends, statements)
        if server:
            yield from _held(connection, alias)
            yield from _filling(connection, alias, at, trends)


def _held(connection: Any, alias: str) -> Iterator[Ticket]:
    for who, state, seconds in connection.execute(_TRANSACTIONS, (HELD, HELD)).fetchall():
        says = (
            f"A transaction of {who} has been open for {seconds / 60:.0f} minutes ({state}): nothing dead is cleared."
        )
        yield Ticket("transaction", named(who, alias), says)
    try:
        slots = connection.execute(_SLOTS).fetchall()
    except psycopg.Error:  # a role that may not ask, or a standby
        slots = []
    for name, active, retained, status in slots:
        if retained >= RETAINED or status in ("unreserved", "lost") or not active:
            doing = "is used" if active else "is used by nobody"
            says = f"The replication slot {name} {doing} and holds back {retained >> 20} MB of log ({status})."
            yield Ticket("replication_slot", named(name, alias), says)


class Scanned(NamedTuple):
    """A large table that was read whole again and again. `times`: in an hour; `rows`: at each of them."""

    name: str
    schema: str
    table: str
    pages: int
    live: int
    times: float
    rows: int
    by_index: int


def _tables(
    connection: Any, alias: str, at: float, trends: Trends, statements: Mapping[str, float]
) -> Iterator[Ticket]:
    found, scanned = list[Ticket](), list[Scanned]()
    rows = connection.execute(_TABLES).fetchall()
    for shown, schema, table, pages, live, dead, changed, scans, read, by_index in rows:
        name = named(shown, alias)
        before, scans_before, read_before = trends.scans.get(name, (at, scans, read))
        trends.scans[name] = (at, scans, read)
        if live + dead < BIG:
            continue
        if dead > DEAD * (live + dead):
            says = f"{dead / (live + dead):.0%} of the rows of {name} are dead: vacuum does not keep up."
            found.append(Ticket("bloat", name, says))
        if changed > CHANGED * live:
            says = f"{changed} rows of {name} ({live} in all) have changed since its statistics were made."
            found.append(Ticket("statistics", name, says))
        new, hours = scans - scans_before, max((at - before) / 3600, 1.0)
        if new >= OFTEN * hours and read - read_before >= ROWS * live * new:
            each = (read - read_before) // new
            scanned.append(Scanned(name, schema, table, pages, live, new / hours, each, by_index))
    found += _indexes(connection, alias, scanned, statements)
    yield from found[: 3 * MOST]
    for index in (named(index, alias) for (index,) in connection.execute(_INVALID).fetchall()):
        yield Ticket("invalid_index", index, f"The index {index} is invalid: it costs every write and helps no query.")
    for numbers, last, most in connection.execute(_NUMBERS, (SHARE,)).fetchall():
        name = named(numbers, alias)
        yield Ticket("numbers", name, f"{last / most:.0%} of the numbers of {name} are used.")


def _indexes(connection: Any, alias: str, scanned: list[Scanned], statements: Mapping[str, float]) -> Iterator[Ticket]:
    """What reads these tables whole: the statement that lacks an index; where it is not known, that one may.

    Nothing is said of statements that want all rows, or so many that an index would not serve them.
    """
    planned = missing_index.planned(connection, statements) if scanned else []
    for table in scanned:
        readers = list(missing_index.readers(planned, table.schema, table.table, table.pages))
        lacking = [reader for reader in readers if reader.columns and reader.calls >= OFTEN]
        often, rows = f"{table.times:.0f} times in an hour", f"{table.rows} of {table.live}"
        if lacking:
            others = f" ({len(lacking) - 1} other statements lack one as well)" if lacking[1:] else ""
            says = (
                f"`{named(lacking[0].summary, alias)}` reads {rows} rows of {table.name} at each call (the table was"
                f" read so {often}): no index serves its filter on {', '.join(lacking[0].columns)}{others}."
            )
            yield Ticket("index", table.name, says)
        elif sum(reader.calls for reader in readers if not reader.columns) < table.times / 2:
            says = (
                f"{table.name} was read whole {often} ({rows} rows each; {table.by_index} reads by an index so far):"
                " see which statement does that, and whether it lacks one."
            )
            yield Ticket("index", table.name, says)


def _filling(connection: Any, alias: str, at: float, trends: Trends) -> Iterator[Ticket]:
    database = "database" if alias == DEFAULT_DB_ALIAS else f"database {alias}"
    used, most = connection.execute(_CONNECTIONS).fetchone()
    if says := trends.read(named("connections", alias), at, used / most, f"the {database}'s {most} connections"):
        yield Ticket("connections", database, says)
    age, freeze = connection.execute(_AGE).fetchone()
    says = trends.read(named("transaction_ids", alias), at, age / IDS, f"the {database}'s transaction ids")
    if says and age > 1.5 * freeze:  # until then it is autovacuum's ordinary work
        yield Ticket("transaction_ids", database, says)
