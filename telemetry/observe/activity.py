"""What work spends its time on: the values that requests and tasks are accounted in. Durations are seconds."""

from dataclasses import dataclass, field
from typing import NamedTuple

VICTIMS = frozenset({"pool", "queue", "runnable"})
"""Kinds of waiting for something that others hold: a connection, a thread, a processor. Never a cause themselves."""


class Activity(NamedTuple):
    """What a request or task does or waits for at one moment.

    `kind` is one of `query`, `lock`, `pool`, `commit`, `http`, `mail`, `queue`, `cpu`, `runnable`, `other`, `held` (a
    connection kept without a query), or one that the host registered. `name` is bounded: a query summary, a host name.
    """

    kind: str
    name: str = ""


class Running(NamedTuple):
    """Operations of an activity that are running: how many, and the age of the oldest (s)."""

    number: int
    oldest: float


class Spent(NamedTuple):
    """Seconds that passed in an activity, and operations of it that began."""

    seconds: float = 0.0
    operations: float = 0.0

    def __add__(self, other: object) -> "Spent":
        if not isinstance(other, Spent):
            return NotImplemented
        return Spent(self.seconds + other.seconds, self.operations + other.operations)


@dataclass(slots=True)
class RouteLook:
    """What happened on one route (or task) in the time of a look."""

    begun: int = 0
    running: int = 0
    """Requests in flight at the end of the look."""
    finished: list[float] = field(default_factory=list)
    """Durations of the requests that ended (at most 50)."""
    ended: int = 0
    ages: list[float] = field(default_factory=list)
    """Ages of those in flight (at most 50)."""
    spent: dict[Activity, Spent] = field(default_factory=dict)
    now: dict[Activity, Running] = field(default_factory=dict)
    """What the requests in flight do at the end of the look."""
    errors: dict[str, int] = field(default_factory=dict)
    """Responses of status 500 and above (or failed tasks), by `kind:class` of what was raised; the kind is that of the
    activity that fails so (`query:OperationalError`), or `code`."""
    code: dict[str, int] = field(default_factory=dict)
    """Where Python was found at work or waiting, by function, in requests in flight."""

    @property
    def seconds(self) -> float:
        """Seconds of work that passed, over all requests."""
        return sum(spent.seconds for spent in self.spent.values())

    @property
    def requests(self) -> int:
        """Requests that were worked on."""
        return max(self.begun, self.ended + self.running)
