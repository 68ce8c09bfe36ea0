"""Whose lock a query waits for: asked while queries run for long."""

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from telemetry.diagnosis.model import Lock
from telemetry.observe.drivers import psycopg
from telemetry.observe.probe import connect, pooled, speaks_psycopg
from telemetry.observe.queries import named
from telemetry.observe.snapshot import Held
from telemetry.observe.sql_summary import summarise

LIMIT = 0.5
"""Seconds the question may take in the database."""

# The session at the head of the queue: others that block are blocked themselves.
_BLOCKERS = """
    SELECT DISTINCT ON (waiting.pid)
        waiting.pid, blocker.pid, blocker.state, blocker.query, extract(epoch FROM blocker.xact_start)
    FROM unnest(%s::int[]) AS waiting(pid)
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocking(pid)
    JOIN pg_stat_activity AS blocker ON blocker.pid = blocking.pid
    ORDER BY waiting.pid, cardinality(pg_blocking_pids(blocker.pid)), blocker.xact_start
"""

# Behind a pooler a connection does not know its server process: any session that runs the same query is one of them.
_WAITING = """
    SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 100
"""


def waiting(stuck: Sequence[Held], held: Sequence[Held], alias: str = DEFAULT_DB_ALIAS) -> list[Lock]:
    """Return the queries of `stuck` that wait for a lock, and its holder; nothing when the database does not say.

    `held` is every connection of this process to it, so that a holder among them is named by its route.
    """
    queries = {each.backend_pid: each.query for each in stuck if each.backend_pid}
    if not queries or not speaks_psycopg(alias):
        return []
    try:
        with connect(alias, "locks", LIMIT) as connection:
            if pooled(alias):
                names = {each.query for each in stuck}
                waits = connection.execute(_WAITING).fetchall()
                rows = ((pid, named(summarise(text), alias)) for pid, text in waits)
                queries, held = {pid: name for pid, name in rows if name in names}, ()
            if not queries:
                return []
            found = connection.execute(_BLOCKERS, [list(queries)]).fetchall()
    except psycopg.Error:
        return []  # an enrichment: what is reported is reported without it
    ours = {each.backend_pid: each for each in held}
    return list({queries[row[0]]: _lock(queries[row[0]], row, ours) for row in found}.values())


def _lock(query: str, row: Sequence[Any], ours: dict[int | None, Held]) -> Lock:
    _, pid, state, text, began = row
    holder = ours.get(pid)
    who = f"a connection of {holder.route or 'background work'}" if holder else "another session"
    last = summarise(text) if text else ""
    idle = (state or "").startswith("idle in transaction")
    return Lock(query, who, float(began or 0.0), "" if last == "OTHER" else last, idle)
