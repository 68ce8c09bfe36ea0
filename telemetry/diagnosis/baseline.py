"""What is usual: how much a request of each route spends on each activity, and how many requests come."""

import math
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

from telemetry.observe.activity import Activity, RouteLook, Spent

MEMORY = 1800.0
"""Seconds of healthy traffic after which what was learned weighs 1/e: slow, so that an incident's first seconds teach
next to nothing."""
TRUSTED = 20.0
"""Requests of a route after which its own figures count fully; before, the prior is mixed in."""
PRIOR = 0.1
"""Seconds a request of an unknown route is expected to take."""
MOST_ROUTES = 1000
MOST_ACTIVITIES = 60
"""Of one route; what is seen beyond that stays unlearned."""


class Usual(NamedTuple):
    """What one route usually does."""

    requests: float
    """A second."""
    seconds: float
    """A request."""
    spread: float
    """Mean deviation of the seconds a request takes from their mean."""
    spent: Mapping[Activity, Spent]
    """A request."""
    known: bool
    """Learned from enough requests to compare with."""


class _Route:
    __slots__ = ("deviation", "requests", "seconds", "spent", "time")

    def __init__(self) -> None:
        self.time = self.requests = self.seconds = self.deviation = 0.0
        self.spent: dict[Activity, list[float]] = {}


class Baseline:
    """Decaying sums for each route. `learn` with healthy seconds alone."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        self._time = 0.0
        self._usual: dict[str, Usual] = {}
        """What `of` has worked out since the last time that something was learned."""

    def learn(self, routes: Mapping[str, RouteLook], seconds: float, without: Container[str] = ()) -> None:
        """Take in what happened in `seconds` of healthy traffic, but nothing of the routes `without`."""
        self._usual.clear()
        keep = math.exp(-seconds / MEMORY)
        self._time = self._time * keep + seconds
        for name in routes:
            if name not in self._routes and len(self._routes) < MOST_ROUTES:
                self._routes[name] = _Route()
        for name, known in self._routes.items():
            if name not in without:
                self._learn_route(known, routes.get(name), keep, seconds)

    def _learn_route(self, known: _Route, seen: RouteLook | None, keep: float, seconds: float) -> None:
        known.time = known.time * keep + seconds
        known.requests *= keep
        known.seconds *= keep
        known.deviation *= keep
        for sums in known.spent.values():
            sums[0] *= keep
            sums[1] *= keep
        if seen is None:
            return
        mean = known.seconds / known.requests if known.requests >= 1 else PRIOR
        known.requests += seen.begun
        known.seconds += seen.seconds
        known.deviation += sum(abs(duration - mean) for duration in seen.finished)
        for activity, spent in seen.spent.items():
            if activity not in known.spent and len(known.spent) >= MOST_ACTIVITIES:
                continue
            learned = known.spent.setdefault(activity, [0.0, 0.0])
            learned[0] += spent.seconds
            learned[1] += spent.operations

    def of(self, route: str) -> Usual:
        """Return what is usual on a route; an unknown one is expected to take PRIOR seconds a request."""
        if route not in self._usual:
            self._usual[route] = self._of(route)
        return self._usual[route]

    def _of(self, route: str) -> Usual:
        known = self._routes.get(route)
        if known is None or known.requests < 1:
            return Usual(0.0, PRIOR, PRIOR, {}, False)
        requests = known.requests
        prior = max(TRUSTED - requests, 0.0) / TRUSTED
        spent = {activity: Spent(sums[0] / requests, sums[1] / requests) for activity, sums in known.spent.items()}
        return Usual(
            requests=requests / max(min(known.time, self._time), 1.0),
            seconds=(1 - prior) * known.seconds / requests + prior * max(PRIOR, known.seconds / requests),
            spread=known.deviation / requests + prior * PRIOR,
            spent=spent,
            known=requests >= TRUSTED / 2,
        )

    @property
    def requests(self) -> float:
        """Requests a second over all routes."""
        return sum(known.requests / max(known.time, 1.0) for known in self._routes.values())

    @property
    def healthy_seconds(self) -> float:
        """How much healthy time is remembered."""
        return self._time

    def to_json(self) -> dict[str, Any]:
        """Return values that `json.dumps` takes and `from_json` reads back."""
        routes = {
            name: [known.time, known.requests, known.seconds, known.deviation, _rows(known.spent.items())]
            for name, known in self._routes.items()
            if known.requests >= 0.5
        }
        return {"time": self._time, "routes": routes}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Baseline":
        """Read what `to_json` made. Raises KeyError, TypeError or ValueError when it is of another shape."""
        baseline = cls()
        baseline._time = float(values["time"])
        for name, (time, requests, seconds, deviation, rows) in values["routes"].items():
            known = baseline._routes[name] = _Route()
            known.time, known.requests, known.seconds, known.deviation = time, requests, seconds, deviation
            known.spent = {Activity(kind, what): [spent, operations] for kind, what, spent, operations in rows}
        return baseline


def _rows(spent: Iterable[tuple[Activity, list[float]]]) -> list[list[Any]]:
    return [[*activity, *sums] for activity, sums in spent]
