"""From a snapshot of a saturated pool to the sentence that says why. Pure: no clock, no database, no settings.

It blames what holds the connections, not what waits for them: the pages that time out are mostly innocent.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from telemetry.observe.snapshot import LONG, Held, Slow, Snapshot

Cause = Literal["slow_query", "slow_database", "idle_in_transaction", "idle", "leaked", "long_work", "surge"]

SLUGGISH = 0.05
"""Seconds a query takes on average where every one is slow; a thousand fast ones are the work's own fault."""
RECENT = 3.0
"""Seconds for which work that has ended still counts as evidence."""
_CAP = 5.0
"""Seconds one holder weighs at most, so that one old leak does not outweigh six slow queries."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Why the pool is exhausted."""

    cause: Cause
    sentence: str
    started_at: float
    """When the blamed work began, Unix seconds."""
    query: str = ""
    route: str = ""
    holders: int = 0
    oldest: float = 0.0
    """Seconds."""
    request_ids: tuple[str, ...] = ()
    backend_pids: tuple[int, ...] = ()


def blame(pool: Snapshot, pressed_since: float | None = None) -> Blame:
    """Name what exhausts the pool. `pressed_since`: when the queueing began (Unix seconds), the start of a surge."""
    groups: dict[tuple[Cause, str], list[Held]] = defaultdict(list)
    recently_slow = [one for one in pool.slow if pool.at - one.ended <= RECENT]
    slow_names = {one.query for one in recently_slow}
    for holder in pool.held:
        if cause := _cause(holder, slow_names):
            groups[cause, _key(cause, holder)].append(holder)
    if not groups and sum(min(one.ended - one.began, RECENT) for one in recently_slow) >= pool.max_size * RECENT / 2:
        # Caught between two slow queries: the ones just ended are the evidence.
        name = Counter(one.query for one in recently_slow).most_common(1)[0][0]
        groups["slow_query", name] = [
            Held("query", name, one.route, one.ended - one.began, one.ended - one.began, 1)
            for one in recently_slow
            if one.query == name
        ]
    culprits = sum(map(len, groups.values()))
    if not culprits or culprits * 4 < pool.max_size:
        return _surge(pool, pressed_since if pressed_since is not None else pool.troubled_since)
    (cause, key), holders = max(
        groups.items(), key=lambda group: sum(min(_age(group[0][0], h), _CAP) for h in group[1])
    )
    return _held(pool, cause, key, holders)


def _cause(holder: Held, slow_names: set[str]) -> Cause | None:
    if holder.state == "query":
        if holder.age >= LONG or holder.query in slow_names:
            return "slow_query"
    elif holder.age >= LONG:
        return holder.state
    if holder.queries >= 3 and holder.held >= LONG and holder.busy >= max(0.8 * holder.held, SLUGGISH * holder.queries):
        return "slow_database"  # no query stands out, none is fast, and there is hardly anything between them
    return "long_work" if holder.held >= 2 * LONG else None


def _key(cause: Cause, holder: Held) -> str:
    """What holders must have in common to be blamed together."""
    if cause == "slow_database":
        return ""
    return holder.query if cause == "slow_query" else holder.route


def _age(cause: Cause, holder: Held) -> float:
    return holder.held if cause in ("long_work", "slow_database") else holder.age


_WHY: dict[Cause, str] = {
    "slow_query": "high latency in the `{query}` query",
    "slow_database": "high latency in every query",
    "idle_in_transaction": "connections held idle in a transaction",
    "idle": "connections held without running a query",
    "leaked": "leaked connections that an ended thread never returned",
    "long_work": "long work on one connection",
}


def _held(pool: Snapshot, cause: Cause, key: str, holders: list[Held]) -> Blame:
    oldest = max(holders, key=lambda holder: _age(cause, holder))
    age = _age(cause, oldest)
    started = pool.at - age
    if cause == "slow_query":
        started = _onset(started, (one for one in pool.slow if one.query == key))
    details = [f"{len(holders)} holder{'s' if len(holders) != 1 else ''}", f"oldest {age:.1f} s", _from(holders)]
    if cause in ("long_work", "slow_database"):
        details.append(f"{oldest.queries} queries so far")
    if cause != "slow_query" and oldest.query:
        details.append(f"last query `{oldest.query}`")
    if cause in ("idle", "idle_in_transaction") and all(holder.ended for holder in holders):
        details.append("whose request has ended")
    return Blame(
        cause=cause,
        sentence=_sentence(pool, _WHY[cause].format(query=key), details, started),
        started_at=started,
        query=oldest.query,
        route=oldest.route,
        holders=len(holders),
        oldest=age,
        request_ids=tuple(holder.request_id for holder in holders if holder.request_id)[:5],
        backend_pids=tuple(holder.backend_pid for holder in holders if holder.backend_pid),
    )


def _surge(pool: Snapshot, since: float) -> Blame:
    routes = Counter(pool.routes or [holder.route for holder in pool.held])
    route = routes.most_common(1)[0][0] if routes else ""
    longest = max([pool.longest, *(holder.held for holder in pool.held)])
    # Fast work leaves gaps, and this instant may be one: tell the worst moment.
    worst = pool._replace(in_use=pool.max_size, waiting=max(pool.waiting, pool.peak_waiting))
    details = [
        f"{pool.returned / max(pool.window, 0.001):.0f} checkouts per second",
        f"longest {longest:.2f} s",
        f"mostly from {route}" if route else "from background work",
    ]
    return Blame(
        cause="surge",
        sentence=_sentence(worst, "a surge of requests", details, since),
        started_at=since,
        route=route,
        holders=len(pool.held),
        oldest=longest,
    )


def _sentence(pool: Snapshot, why: str, details: list[str], started: float) -> str:
    in_use = min(max(pool.in_use, len(pool.held)), pool.max_size)
    return (
        f"The database pool is exhausted ({in_use}/{pool.max_size} in use, {pool.waiting} waiting) "
        f"because of {why} ({', '.join(details)}) starting at {clock(started, pool.at)}."
    )


def clock(moment: float, now: float) -> str:
    """A Unix time as people say it in UTC; with its date when that is not today's."""
    then, today = datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(now, UTC).date()
    return then.strftime("%H:%M:%S UTC" if then.date() == today else "%H:%M:%S UTC on %d %B %Y")


def _from(holders: list[Held]) -> str:
    routes = Counter(holder.route for holder in holders if holder.route)
    if not routes:
        return "from background work"
    others = len(routes) - 1
    first = f"from {routes.most_common(1)[0][0]}"
    return first if not others else f"{first} and {others} other route{'s' if others != 1 else ''}"


def _onset(started: float, slow: Iterable[Slow]) -> float:
    """Walk back over the slow runs that ended shortly before: statement time-outs make a hang look young."""
    for one in sorted(slow, key=lambda run: run.ended, reverse=True):
        if one.ended >= started - 1.0:
            started = min(started, one.began)
    return started
