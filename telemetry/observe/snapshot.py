"""What is known of a connection pool at one instant: made by `observe.pool`, read by the diagnosis."""

from typing import Literal, NamedTuple

State = Literal["query", "idle_in_transaction", "idle", "leaked"]


class Held(NamedTuple):
    """What one checked-out connection is doing. Ages in seconds."""

    state: State
    query: str
    """Summary of the running query, or of the last one."""
    route: str
    age: float
    """Since the query began, or since the connection idles."""
    ended: bool = False
    """The request it was checked out for is over."""
    backend_pid: int | None = None


class Snapshot(NamedTuple):
    """A pool at one instant, and what happened in it since the snapshot before. `at` and `*_since`: Unix seconds."""

    at: float
    max_size: int
    held: tuple[Held, ...] = ()
    in_use: int = 0
    waiting: int = 0
    timeouts: int = 0
    lost: int = 0
    troubled_since: float = 0.0
    """Since when somebody waits, waited or lost a connection."""
    returned: int = 0
    queued: int = 0
    """Of the returned ones, those that had had to queue."""
