"""The records that the diagnosis works on. Plain values: no clock, no database, no settings.

A process makes one `Look` a second. Times are Unix seconds, durations seconds.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, NamedTuple

from telemetry.observe.activity import Activity, RouteLook, Running, Spent
from telemetry.observe.browsers import Browsed
from telemetry.signals import Seen


@dataclass(frozen=True, slots=True)
class Lock:
    """A query that waits for a lock, and whose."""

    query: str
    holder: str
    """"another session" or "a connection of" a route."""
    since: float
    """When the holder's transaction began."""
    last_query: str = ""
    idle: bool = False
    """Whether the holder does nothing in its transaction."""


class Pool(NamedTuple):
    """The connections of one database alias in a process, and what happened to them in a look."""

    size: int = 0
    """What the pool may hold; 0 where there is none."""
    in_use: int = 0
    waiting: int = 0
    timeouts: int = 0
    returned: int = 0
    queued: int = 0
    """Of the connections returned, those that had been waited for."""
    active: int = 0
    idle: int = 0

    @property
    def full(self) -> bool:
        """Whether somebody waits, or waited in vain, for what others have."""
        return bool(self.size) and self.in_use >= self.size and (self.waiting or self.timeouts) > 0


@dataclass(slots=True)
class Look:
    """What one process saw in about a second."""

    at: float
    window: float
    pid: int
    process: Literal["web", "worker"] = "web"
    release: str = ""
    routes: dict[str, RouteLook] = field(default_factory=dict)
    threads: int = 0
    """Threads that serve requests; 0 where there is no fixed number."""
    busy: int = 0
    queued: int = 0
    """Requests that have arrived and wait for a thread."""
    pools: dict[str, Pool] = field(default_factory=dict)
    """By database alias; under "" where there is only one."""
    connections_lost: int = 0
    queries: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Queries that run now, by their label in metrics: how many, and the age of the oldest."""
    database: str = "unknown"
    """"ok", "unknown", "asking" (it is silent so far), "refused", "timeout" or "full"."""
    database_since: float = 0.0
    """Since when connections to the database have failed or been lost."""
    database_at: float = 0.0
    """When the question was asked to which `database` is the answer; 0 where that is not known."""
    locks: list[Lock] = field(default_factory=list)
    cpu: float = 0.0
    """Processors this process used, 1.0 is one of them whole."""
    cpu_seconds: float = 0.0
    """CPU seconds that it has used since it began."""
    host_cpu: float = 0.0
    """Share of the host's processors in use, 0 to 1."""
    cpu_users: dict[str, float] = field(default_factory=dict)
    """Processors used by the busiest programs of the host, by name, while the host is short of them."""
    memory: int = 0
    """Resident bytes."""
    memory_limit: int = 0
    """Bytes that all processes together may have; 0 where that is not known."""
    facts: dict[str, str] = field(default_factory=dict)
    """Other states by check name: "ok", "degraded" …; what health knows."""
    good_at: dict[str, float] = field(default_factory=dict)
    """When the last good answer of each check came (Unix seconds)."""
    tasks_due: int = 0
    tasks_oldest: float = 0.0
    """Background tasks that should have begun, and for how long the oldest of them is due; of a task worker."""
    flows: dict[str, Seen] = field(default_factory=dict)
    """What usually goes on: see `telemetry.signals`."""
    kinds: dict[str, str] = field(default_factory=dict)
    """The host's own kinds of activity, and how a sentence calls them."""
    browsers: dict[str, Browsed] = field(default_factory=dict)
    """What browsers reported, by the route of the page."""
    database_users: dict[str, int] = field(default_factory=dict)
    """Connections by who has them, while the database takes no more."""

    def to_json(self) -> dict[str, Any]:
        """Return values that `json.dumps` takes and `from_json` reads back."""
        found = {name: getattr(self, name) for name in _LOOK}  # `asdict` copies each number of thousands
        found["routes"] = {name: _route_to_json(route) for name, route in self.routes.items()}
        found["browsers"] = {name: asdict(page) for name, page in self.browsers.items()}
        found["locks"] = [asdict(lock) for lock in self.locks]
        return found

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Look":
        """Read what `to_json` made. Raises KeyError, TypeError or ValueError when it is of another shape."""
        routes = {}
        for name, route in values["routes"].items():
            spent = {Activity(kind, what): Spent(seconds, n) for kind, what, seconds, n in route["spent"]}
            now = {Activity(kind, what): Running(n, oldest) for kind, what, n, oldest in route["now"]}
            routes[name] = RouteLook(**{**route, "spent": spent, "now": now})
        made = {
            "routes": routes,
            "queries": {name: (number, oldest) for name, (number, oldest) in values["queries"].items()},
            "flows": {name: Seen(*seen) for name, seen in values["flows"].items()},
            "browsers": {name: Browsed(**seen) for name, seen in values["browsers"].items()},
            "locks": [Lock(**lock) for lock in values["locks"]],
            "pools": {alias: Pool(*pool) for alias, pool in values["pools"].items()},
        }
        return cls(**{**values, **made})


def _route_to_json(route: RouteLook) -> dict[str, Any]:
    found = {name: getattr(route, name) for name in _ROUTE}
    found["spent"] = [[*activity, *spent] for activity, spent in route.spent.items()]
    found["now"] = [[*activity, *running] for activity, running in route.now.items()]
    return found


_LOOK, _ROUTE = ([each.name for each in fields(kind)] for kind in (Look, RouteLook))

Factor = Literal["requests", "operations", "duration", "errors", "state"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is wrong: the component and what about it grew.

    `weight` is the part of the trouble it explains, in seconds of customers' waiting per second (or failures).
    """

    kind: str
    component: str
    factor: Factor
    route: str = ""
    weight: float = 0.0
    now: float = 0.0
    """The factor's value: seconds an operation, operations a request, requests a second."""
    usual: float | None = None
    oldest: float = 0.0
    """Age of its oldest running operation."""
    running: int = 0
    holder: Lock | None = None
    detail: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What two findings must have in common to be the same cause."""
        if self.kind == "lock" and self.holder is not None:
            return "lock", f"{self.holder.holder} {self.holder.last_query}"
        return self.kind, self.component


@dataclass(frozen=True, slots=True)
class Symptom:
    """What is wrong, as customers or staff would notice it."""

    name: str
    """`pool_exhausted`, `threads_exhausted`, `slow`, `errors`, `database_down`, …"""
    route: str = ""
    now: float = 0.0
    usual: float | None = None
    size: int = 0
    in_use: int = 0
    waiting: int = 0
    affected: int = 0
    """Requests in the window."""
    says: str = ""
    """The symptom in words, of one that a host declared."""
    database: str = ""
    """The alias whose pool it is, where there is more than one."""


@dataclass(slots=True)
class Incident:
    """One thing that is wrong, from its start to its end."""

    id: str
    symptom: Symptom
    cause: Cause
    started_at: float
    opened_at: float
    sentence: str
    ended_at: float | None = None
    consequences: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    """What changed near the start: evidence, not a verdict."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Incident":
        """Read what `to_json` made. Raises KeyError or TypeError when it is of another shape."""
        cause = dict(values["cause"])
        if cause["holder"] is not None:
            cause["holder"] = Lock(**cause["holder"])
        return cls(**{**values, "symptom": Symptom(**values["symptom"]), "cause": Cause(**cause)})
