"""The looks of all processes of a host over some seconds, added up."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from telemetry.diagnosis.model import Lock, Look
from telemetry.observe.activity import RouteLook, Running, Spent

MOST_DURATIONS = 500


@dataclass(slots=True)
class Window:
    """What happened in `seconds` up to `at` (Unix seconds) in all processes of a kind."""

    at: float
    seconds: float
    routes: dict[str, RouteLook] = field(default_factory=dict)
    latest: list[Look] = field(default_factory=list)
    """The newest look of each process."""
    pool_timeouts: dict[str, int] = field(default_factory=dict)
    """By database alias."""
    connections_lost: int = 0
    locks: dict[str, Lock] = field(default_factory=dict)
    """By the query that waits."""

    @property
    def host_cpu(self) -> float:
        """Share of the host's processors in use, 0 to 1."""
        return max((look.host_cpu for look in self.latest), default=0.0)

    @property
    def cpu_users(self) -> dict[str, float]:
        """Processors used by program, as the process saw it that looked best."""
        return max((look.cpu_users for look in self.latest), key=len, default={})


def merge(looks: Iterable[Look], at: float, seconds: float) -> Window:
    """Add up the looks that ended in the `seconds` before `at`."""
    chosen = sorted((look for look in looks if at - seconds < look.at <= at), key=lambda look: look.at)
    latest = {look.pid: look for look in chosen}
    window = Window(at, seconds, latest=list(latest.values()))
    for look in chosen:
        for alias, pool in look.pools.items():
            if pool.timeouts:
                window.pool_timeouts[alias] = window.pool_timeouts.get(alias, 0) + pool.timeouts
        window.connections_lost += look.connections_lost
        window.locks |= {lock.query: lock for lock in look.locks}
        for name, route in look.routes.items():
            _add(window.routes.setdefault(name, RouteLook()), route)
    for look in window.latest:
        for name, route in look.routes.items():
            _now(window.routes[name], route)
    return window


def _add(total: RouteLook, route: RouteLook) -> None:
    """Add what passed; what is in flight is taken from the newest looks alone."""
    total.begun += route.begun
    total.ended += route.ended
    total.finished = (total.finished + route.finished)[-MOST_DURATIONS:]
    for activity, spent in route.spent.items():
        total.spent[activity] = total.spent.get(activity, Spent()) + spent
    for error, number in route.errors.items():
        total.errors[error] = total.errors.get(error, 0) + number
    for place, number in route.code.items():
        total.code[place] = total.code.get(place, 0) + number


def _now(total: RouteLook, route: RouteLook) -> None:
    total.running += route.running
    total.ages += route.ages
    for activity, running in route.now.items():
        known = total.now.get(activity, Running(0, 0.0))
        total.now[activity] = Running(known.number + running.number, max(known.oldest, running.oldest))
