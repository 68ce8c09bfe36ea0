"""Which activity grew, by which factor, and who is to be charged for it.

Usage is *requests a second × operations a request × seconds an operation*, for each route and activity. Its growth over
the usual is split exactly among the three factors by logarithmic means (LMDI, Ang 2004). Waiting for something that
others hold (a connection, a thread, a processor) is nobody's cause: it is charged to what holds it, which is what grew.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from telemetry.diagnosis.baseline import Baseline, Usual
from telemetry.diagnosis.model import Cause, Factor
from telemetry.diagnosis.window import Window
from telemetry.observe.activity import VICTIMS, Activity, RouteLook

USUAL_DURATION = {"query": 0.05, "commit": 0.05, "http": 0.5, "mail": 1.0, "cpu": 0.1}
"""Seconds an operation takes where it was never seen; of other kinds SHORT."""
SHORT = 0.01
PYTHON_PER_OPERATION = 0.001
"""Seconds of Python that come with an operation (building and reading a query): they grow with its number."""
SWITCH = 0.005
"""Seconds after which Python hands the interpreter from one thread to the next."""
BUSY = 0.85
"""Processors from which a Python process has no more to give, as one thread runs at a time."""
FULL = 0.9
"""Share of the host's processors from which work waits for them."""
EVERY_PAGE = "every page"
STARVED = 0.25
"""Share of all time that work must wait for a processor before the lack of one is a cause."""
SLOWER, MANY, DOMINANT = 3.0, 3, 0.5
"""MANY different queries take SLOWER times the usual, none with the DOMINANT share: the database itself is slow."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Usage of one activity on one route above the usual, split by factor. Seconds a second."""

    route: str
    activity: Activity
    requests: float
    operations: float
    duration: float
    now: tuple[float, float, float]
    """Requests a second, operations a request, seconds an operation."""
    usual: tuple[float, float, float]
    """The same, as usual."""
    known: bool
    """Whether the usual was learned; otherwise it is what such an operation takes anywhere."""

    @property
    def total(self) -> float:
        return self.requests + self.operations + self.duration


def growths(window: Window, baseline: Baseline) -> list[Growth]:
    """Return every activity of every route that takes more time than usual."""
    everywhere = _usual_durations(window.routes, baseline)
    slack = _interpreter_delay(window)
    found = []
    for name, route in window.routes.items():
        usual = baseline.of(name)
        extra = _extra_operations(route, usual)
        for activity, spent in route.spent.items():
            if activity.kind in VICTIMS or spent.seconds <= 0:
                continue
            seconds = spent.seconds
            if activity.kind == "cpu":
                seconds = max(seconds - extra * PYTHON_PER_OPERATION, 0.0)
            growth = _growth(name, activity, seconds, route, usual, everywhere, slack, window.seconds)
            if growth is not None:
                found.append(growth)
    return found


def _growth(
    name: str,
    activity: Activity,
    seconds: float,
    route: RouteLook,
    usual: Usual,
    everywhere: dict[Activity, float],
    slack: float,
    window: float,
) -> Growth | None:
    now = route.now.get(activity)
    operations = max(route.spent[activity].operations, now.number if now else 0, 1.0)  # one that began before
    requests = max(route.requests, 1)
    before = usual.spent.get(activity)
    per_operation = seconds / operations
    # An operation that takes next to nothing usually may take SHORT without being called slow.
    if before is not None and before.operations > 0:
        duration = max(before.seconds / before.operations, 1e-6)
        often = before.operations
    else:
        duration = everywhere.get(activity, USUAL_DURATION.get(activity.kind, SHORT))
        # A route that is known did not do this before; of an unknown one nothing can be said.
        often = 1.0 if usual.known else max(min(operations / requests, 5.0), 1e-9)
    if activity.kind not in ("cpu", "other"):  # a busy interpreter explains what is above the usual, and no more
        per_operation = max(per_operation - slack, min(per_operation, duration))
    factors = (requests / window, operations / requests, per_operation)
    often = min(often, factors[1]) if activity.kind in ("lock", "held") else often
    rate = usual.requests if usual.known else factors[0]
    known = (max(rate, 1e-3), max(often, 1e-9), max(duration, 1e-9))
    used, used_before = math.prod(factors), math.prod(known)
    if used <= used_before or used <= 0:
        return None
    mean = _logarithmic_mean(used, used_before)
    requests_part, operations_part, duration_part = (
        mean * math.log(new / old) for new, old in zip(factors, known, strict=True)
    )
    learned = usual.known and before is not None
    return Growth(name, activity, requests_part, operations_part, duration_part, factors, known, learned)


def _logarithmic_mean(a: float, b: float) -> float:
    return (a - b) / math.log(a / b) if abs(a - b) > 1e-12 else a


def _usual_durations(routes: Iterable[str], baseline: Baseline) -> dict[Activity, float]:
    """How long operations take on other routes."""
    sums: dict[Activity, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name in routes:
        usual = baseline.of(name)
        for activity, spent in usual.spent.items():
            sums[activity][0] += spent.seconds * usual.requests
            sums[activity][1] += spent.operations * usual.requests
    return {activity: seconds / number for activity, (seconds, number) in sums.items() if number > 0}


def _extra_operations(route: RouteLook, usual: Usual) -> float:
    """Operations beyond the usual number for so many requests."""
    extra = 0.0
    for activity, spent in route.spent.items():
        if activity.kind in ("query", "http", "mail"):
            known = usual.spent.get(activity)
            extra += max(spent.operations - (known.operations if known else 0.0) * route.requests, 0.0)
    return extra


def _interpreter_delay(window: Window) -> float:
    """Seconds by which every operation looks longer where threads queue for one interpreter, or for a processor."""
    delay = 0.0
    for look in window.latest:
        if look.cpu >= BUSY or look.host_cpu >= FULL:
            working = sum(
                running.number
                for route in look.routes.values()
                for activity, running in route.now.items()
                if activity.kind in ("cpu", "runnable")
            )
            delay = max(delay, SWITCH * max(working, 1) * (2 if look.host_cpu >= FULL else 1))
    return delay


def causes(window: Window, baseline: Baseline) -> list[Cause]:
    """Return what grew, the largest first. `weight` is its growth in seconds of work a second."""
    found = growths(window, baseline)
    weighed: dict[tuple[str, str, Factor], list[Growth]] = defaultdict(list)
    for growth in found:
        for factor in ("operations", "duration"):
            if getattr(growth, factor) > 0:
                weighed[(*growth.activity, factor)].append(growth)
    candidates = [_cause(window, *key, group) for key, group in weighed.items()]
    candidates = _by_holder(_slow_database(window, candidates))
    surge = _surge(window, baseline, found)
    if surge is not None:
        candidates.append(surge)
    candidates = _processor(window, candidates)
    return sorted((cause for cause in candidates if cause.weight > 0), key=lambda cause: -cause.weight)


def _cause(window: Window, kind: str, name: str, factor: Factor, group: list[Growth]) -> Cause:
    worst = max(group, key=lambda growth: getattr(growth, factor))
    index = 1 if factor == "operations" else 2
    running = [window.routes[growth.route].now.get(growth.activity) for growth in group]
    lock = window.locks.get(name) if kind == "query" and factor == "duration" else None
    component = name
    if kind in ("cpu", "other"):
        # Of Python the component is the page, unless all of them share what slows them.
        total = sum(getattr(growth, factor) for growth in group)
        component = worst.route if getattr(worst, factor) > DOMINANT * total else EVERY_PAGE
    return Cause(
        kind="lock" if lock is not None else kind,
        component=component,
        factor=factor,
        route=worst.route,
        weight=sum(getattr(growth, factor) for growth in group),
        now=worst.now[index],
        usual=worst.usual[index] if worst.known else None,
        oldest=max((each.oldest for each in running if each), default=0.0),
        running=sum(each.number for each in running if each),
        holder=lock,
        detail=_place(window.routes[worst.route]) if kind in ("cpu", "other") else "",
    )


def _place(route: RouteLook) -> str:
    """The function most often found at work, when it was found there in at least half of the samples."""
    if not route.code:
        return ""
    place, number = max(route.code.items(), key=lambda found: found[1])
    return place if number * 2 >= sum(route.code.values()) else ""


def _slow_database(window: Window, candidates: list[Cause]) -> list[Cause]:
    """Queries that all got slower, none of them more than the rest together, are one cause: the database."""
    slow = [
        cause
        for cause in candidates
        if cause.kind in ("query", "commit")
        and cause.factor == "duration"
        and cause.now >= max(SLOWER * (cause.usual or 0.0), SHORT)
    ]
    total = sum(cause.weight for cause in slow)
    if len(slow) < MANY or max(cause.weight for cause in slow) > DOMINANT * total:
        return candidates
    worst = max(slow, key=lambda cause: cause.weight)
    every = replace(worst, kind="database", component="every query", weight=total, running=sum(c.running for c in slow))
    return [cause for cause in candidates if cause not in slow] + [every]


def _by_holder(candidates: list[Cause]) -> list[Cause]:
    """Queries that wait for one holder's lock are one cause."""
    holders: dict[str, list[Cause]] = defaultdict(list)
    for cause in candidates:
        if cause.holder is not None:
            holders[cause.key[1]].append(cause)
    merged = []
    for group in holders.values():
        worst = max(group, key=lambda cause: cause.weight)
        oldest = max(cause.oldest for cause in group)
        running = sum(cause.running for cause in group)
        merged.append(replace(worst, weight=sum(c.weight for c in group), oldest=oldest, running=running))
    return [cause for cause in candidates if cause.holder is None] + merged


def arrivals(window: Window, baseline: Baseline) -> Cause:
    """Requests themselves, where resources are used up and nothing that requests do has grown."""
    begun = {name: route.begun / window.seconds for name, route in window.routes.items()}
    route = max(begun, key=begun.__getitem__, default="")
    usual = baseline.requests if baseline.healthy_seconds else None
    return Cause("requests", "requests", "requests", route, 1.0, sum(begun.values()), usual)


def _surge(window: Window, baseline: Baseline, found: list[Growth]) -> Cause | None:
    """More requests than usual, over all routes."""
    weight = sum(growth.requests for growth in found)
    rates = {
        name: (route.begun / window.seconds, baseline.of(name).requests)
        for name, route in window.routes.items()
        if route.begun and not name.startswith("task:")
    }
    now = sum(rate for rate, _ in rates.values())
    usual = baseline.requests
    if weight <= 0 or not rates or now <= max(1.5 * usual, 1.0):
        return None
    route = max(rates, key=lambda name: rates[name][0] - rates[name][1])
    return Cause("requests", "requests", "requests", route, weight, now, usual)


def _processor(window: Window, candidates: list[Cause]) -> list[Cause]:
    """Where the host has no processor left and this site did not take it, name who did."""
    if window.host_cpu < FULL:
        return candidates
    waiting = sum(
        spent.seconds / window.seconds
        for route in window.routes.values()
        for activity, spent in route.spent.items()
        if activity.kind == "runnable"
    )
    passed = sum(route.seconds for route in window.routes.values()) / window.seconds
    if waiting < STARVED * passed:
        return candidates
    ours = sum(look.cpu for look in window.latest)
    users = window.cpu_users
    if not users:
        return candidates
    name, used = max(users.items(), key=lambda user: user[1])
    if used <= ours:
        return candidates
    # Who waits for a lock does not wait for a processor, and a thread's own clock stands still meanwhile.
    others = ("lock", "held", "cpu")
    slower = [cause for cause in candidates if cause.factor == "duration" and cause.kind not in others]
    # It slows everything alike: what took longer than all else together did so by itself.
    least = max(DOMINANT * sum(cause.weight for cause in slower), STARVED * waiting)
    starved = [cause for cause in slower if cause.weight <= least]
    weight = waiting + sum(cause.weight for cause in starved)
    busiest = Cause("processor", name, "state", weight=weight, now=used, usual=None)
    return [cause for cause in candidates if cause not in starved] + [busiest]
