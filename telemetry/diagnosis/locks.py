"""Who blocks a query that waits for a lock: asked when an incident is reported, and while a query runs for long."""

from typing import NamedTuple

import psycopg

from telemetry.diagnosis.pool_exhaustion import clock
from telemetry.observe.probe import connect, pooled
from telemetry.observe.snapshot import Held
from telemetry.observe.sql_summary import summarise

LIMIT = 0.5
"""Seconds the question may take in the database."""

_BLOCKERS = """
    SELECT blocker.pid, blocker.state, blocker.query, extract(epoch FROM blocker.xact_start)
    FROM unnest(%s::int[]) AS waiting(pid)
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocking(pid)
    JOIN pg_stat_activity AS blocker ON blocker.pid = blocking.pid
    ORDER BY cardinality(pg_blocking_pids(blocker.pid)), blocker.xact_start
    LIMIT 1
"""


# Behind a pooler a connection does not know its server process: whoever runs the same query is one of them.
_WAITING = """
    SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 100
"""


class _Blocker(NamedTuple):
    """The session that blocks the others; `began`: its transaction, Unix seconds."""

    who: str
    state: str
    query: str
    began: float | None


def explain(backend_pids: tuple[int, ...], held: tuple[Held, ...], now: float, *, query: str) -> str:
    """A sentence that names who holds the lock those sessions wait for, or "" when none does or nobody can tell.

    `held` is the pool's own connections, so that a blocker among them is named by its route. `now`: Unix seconds.
    `query` is the summary of what waits.
    """
    found = _blocker(backend_pids, held, query)
    if found is None:
        return ""
    last = summarise(found.query) if found.query else "OTHER"
    details = [f"`{last}`" if last != "OTHER" else "", found.state]
    if found.began is not None:
        details.append(f"transaction begun at {clock(found.began, now)}")
    return f" It waits for a lock held by {found.who} ({', '.join(filter(None, details))})."


def holder(backend_pids: tuple[int, ...], held: tuple[Held, ...], *, query: str) -> str:
    """In bounded words who holds the lock those sessions wait for, "" as with `explain`."""
    found = _blocker(backend_pids, held, query)
    if found is None:
        return ""
    return found.who + (" that idles in its transaction" if found.state.startswith("idle in transaction") else "")


def _blocker(backend_pids: tuple[int, ...], held: tuple[Held, ...], query: str) -> _Blocker | None:
    if not backend_pids:
        return None
    try:
        with connect("default", "locks", LIMIT) as connection:
            if pooled("default"):
                waiting = connection.execute(_WAITING).fetchall()
                backend_pids = tuple(pid for pid, text in waiting if summarise(text) == query)
                held = ()
            found = connection.execute(_BLOCKERS, [list(backend_pids)]).fetchone()
    except psycopg.Error:
        return None  # an enrichment: what is reported is reported without it
    if found is None:
        return None
    pid, state, last, began = found
    ours = next((holder for holder in held if holder.backend_pid == pid), None)
    who = f"a connection of {ours.route or 'background work'}" if ours else "another session"
    return _Blocker(who, state or "", last or "", float(began) if began is not None else None)
