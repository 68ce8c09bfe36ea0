"""What is known of a connection pool at one instant: made by `observe.pool`, read by the diagnosis."""

from typing import Literal, NamedTuple

State = Literal["query", "idle_in_transaction", "idle", "leaked"]

LONG = 0.5
"""Seconds. A connection held for less is turned over fast enough to serve waiters who give up after 2 s."""


class Held(NamedTuple):
    """What one checked-out connection is doing. Ages in seconds."""

    state: State
    query: str
    """Summary of the running query, or of the last one."""
    route: str
    age: float
    """Since the query began, or since the connection idles."""
    held: float
    """Since the checkout."""
    queries: int = 0
    busy: float = 0.0
    """Of `held`, spent in queries."""
    request_id: str = ""
    ended: bool = False
    """The request it was checked out for is over."""
    backend_pid: int | None = None


class Slow(NamedTuple):
    """A query that ran for LONG or more and has ended. Unix seconds."""

    query: str
    route: str
    began: float
    ended: float


class Snapshot(NamedTuple):
    """A pool at one instant, and what happened in the window (seconds) before it. `at` and `*_since`: Unix seconds."""

    at: float
    max_size: int
    held: tuple[Held, ...] = ()
    in_use: int = 0
    waiting: int = 0
    peak_waiting: int = 0
    """At the worst moment of the window; the pool was full then."""
    oldest_wait: float = 0.0
    timeouts: int = 0
    lost: int = 0
    troubled_since: float = 0.0
    """Since when somebody waits, waited or lost a connection in this window."""
    returned: int = 0
    queued: int = 0
    """Of the returned ones, those that had had to queue."""
    longest: float = 0.0
    """Longest hold among the returned ones, seconds."""
    routes: tuple[str, ...] = ()
    """Of the returned ones."""
    slow: tuple[Slow, ...] = ()
    window: float = 1.0
