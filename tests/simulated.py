"""A simulated site for tests of the diagnosis: requests that pass through activities on threads, seen as looks."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from telemetry.diagnosis.engine import Diagnosis, Event
from telemetry.diagnosis.model import Lock, Look
from telemetry.observe.activity import Activity, RouteLook, Running, Spent

STEP = 0.02
"""Seconds."""


@dataclass
class Page:
    """A route: how often it is asked for, and what one request does, as (activity, operations, seconds each)."""

    rate: float
    does: list[tuple[Activity, int, float]]


def shop() -> dict[str, Page]:
    """Return the pages of an ordinary small shop."""
    return {
        "/": Page(1.0, [(Activity("query", "SELECT service"), 2, 0.003), (Activity("cpu"), 1, 0.02)]),
        "/services/": Page(1.5, [(Activity("query", "SELECT service"), 3, 0.003), (Activity("cpu"), 1, 0.03)]),
        "/book/": Page(
            0.8,
            [
                (Activity("query", "SELECT service"), 1, 0.003),
                (Activity("query", "SELECT booking"), 4, 0.006),
                (Activity("query", "INSERT booking"), 1, 0.004),
                (Activity("cpu"), 1, 0.04),
                (Activity("commit", "COMMIT"), 1, 0.005),
            ],
        ),
        "/pay/": Page(
            0.3,
            [
                (Activity("query", "SELECT payment"), 2, 0.003),
                (Activity("http", "bank"), 1, 0.25),
                (Activity("cpu"), 1, 0.02),
            ],
        ),
    }


@dataclass(eq=False)
class _Request:
    route: str
    arrived: float
    todo: list[tuple[Activity, float]]
    began: float = 0.0
    """When the current operation began."""


@dataclass
class Site:
    """One process with `threads`. `slow`, `often`, `rates` and `held` are the faults; `held` maps a query to a lock."""

    seed: int = 0
    threads: int = 8
    pages: dict[str, Page] = field(default_factory=shop)
    slow: dict[Activity, float] = field(default_factory=dict)
    """Seconds that each operation takes longer."""
    often: dict[tuple[str, Activity], int] = field(default_factory=dict)
    """Operations more a request."""
    rates: dict[str, float] = field(default_factory=dict)
    """Times the usual number of requests."""
    held: dict[str, Lock] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    release: str = "1"
    at: float = 1_700_000_000.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._queue: list[_Request] = []
        self._working: list[_Request] = []

    def looks(self, seconds: int) -> Iterator[Look]:
        """Let time pass, a look each second."""
        for _ in range(seconds):
            yield self._look()

    def _look(self) -> Look:
        look = Look(self.at + 1.0, 1.0, pid=1, release=self.release, threads=self.threads, database="ok")
        for _ in range(round(1 / STEP)):
            self._step(look)
        self.at = look.at
        for request in self._working + self._queue:
            route = look.routes.setdefault(request.route, RouteLook())
            route.running += 1
            route.ages.append(self.at - request.arrived)
            activity = request.todo[0][0] if request in self._working else Activity("queue")
            now = route.now.get(activity, Running(0, 0.0))
            age = self.at - (request.began or request.arrived)
            route.now[activity] = Running(now.number + 1, max(now.oldest, age))
        look.busy, look.queued = len(self._working), len(self._queue)
        running = {request.todo[0][0].name for request in self._working}
        look.locks = [lock for lock in self.held.values() if lock.query in running]
        return look

    def _step(self, look: Look) -> None:
        self.at += STEP
        for route, page in self.pages.items():
            if self.random.random() < page.rate * self.rates.get(route, 1.0) * STEP:
                self._arrive(look, route, page)
        while self._queue and len(self._working) < self.threads:
            request = self._queue.pop(0)
            request.began = self.at
            self._working.append(request)
        for request in self._queue:
            _spend(look, request.route, Activity("queue"), STEP, 0)
        for request in list(self._working):
            self._work(look, request)

    def _arrive(self, look: Look, route: str, page: Page) -> None:
        todo = [
            (activity, (seconds + self.slow.get(activity, 0.0)) * self.random.uniform(0.6, 1.6))
            for activity, number, seconds in page.does
            for _ in range(number + self.often.get((route, activity), 0))
        ]
        self._queue.append(_Request(route, self.at, todo))
        look.routes.setdefault(route, RouteLook()).begun += 1

    def _work(self, look: Look, request: _Request) -> None:
        left = STEP
        while request.todo and left > 0:
            activity, seconds = request.todo[0]
            if activity.name in self.held:
                _spend(look, request.route, activity, left, 0)
                return
            used = min(left, seconds)
            _spend(look, request.route, activity, used, 1 if used == seconds else 0)
            left -= used
            if used < seconds:
                request.todo[0] = (activity, seconds - used)
                return
            request.todo.pop(0)
            request.began = self.at
        if not request.todo:
            self._working.remove(request)
            route = look.routes[request.route]
            route.ended += 1
            route.finished.append(self.at - request.arrived)
            if request.route in self.failing:
                error = self.failing[request.route]
                route.errors[error] = route.errors.get(error, 0) + 1


def _spend(look: Look, route: str, activity: Activity, seconds: float, operations: int) -> None:
    known = look.routes.setdefault(route, RouteLook())
    known.spent[activity] = known.spent.get(activity, Spent()) + Spent(seconds, operations)


def watch(diagnosis: Diagnosis, site: Site, seconds: int) -> list[Event]:
    """Judge `seconds` of a site's work; return what opened and closed."""
    events: list[Event] = []
    for look in site.looks(seconds):
        events += diagnosis.judge(look.at, [look])
    return events
