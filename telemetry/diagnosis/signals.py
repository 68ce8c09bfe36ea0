"""What is wrong just now, compared with what is usual. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from telemetry.diagnosis.baseline import Baseline, Usual
from telemetry.diagnosis.model import Cause, Look, Symptom
from telemetry.diagnosis.window import Window
from telemetry.observe.activity import RouteLook

EXCESS = 0.5
"""Seconds of waiting above the usual, a second, from which customers notice: half a request is always stuck."""
LATE, MOSTLY = 0.5, 0.2
"""Seconds above the usual from which one request counts as affected, and from which it does where most of its route's
take that long."""
STEADY, SELDOM = 4, 120.0
"""Requests of a route in a row that are late, from which a page is slow however seldom it is asked for, and the seconds
within which they must come."""
ALONE = 5.0
"""Seconds above the usual from which a single request is enough."""
SPREADS = 4.0
"""Times the usual spread that a route's mean duration may vary."""
SATURATED = 3
"""Looks in a row in which a resource is used up before that alone is wrong."""
FAILED, SHARE = 3, 0.1
"""Failures of one kind on a route, and their share of its requests, from which they are an incident."""
FAILURE_WINDOW = 60.0
"""Seconds within which failures belong together."""
SUCCESSES = 5
"""Requests of a route after its last failure from which it works again."""
EXITS, EXITS_WITHIN, EXITS_STOPPED = 3, 60.0, 25.0
"""Workers that must end within so many seconds, and the seconds without another after which it is over."""
MISSING, STARVED = 6.0, 20.0
"""Seconds without a look from a process that still exists, and from one that can run but may get no processor."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much longer than usual work takes. `excess`: seconds per second, over all routes."""

    excess: float = 0.0
    affected: int = 0
    longest: float = 0.0
    """Of the affected requests, seconds above the usual."""
    routes: dict[str, float] = field(default_factory=dict)
    """Excess by route."""
    late: dict[str, list[float]] = field(default_factory=dict)
    """How long the affected requests of each route took so far, in order."""

    @property
    def noticed(self) -> bool:
        """Whether customers would call it slow."""
        return self.excess >= EXCESS and (self.affected >= 2 or self.longest >= ALONE)

    @property
    def worst(self) -> str:
        return max(self.routes, key=self.routes.__getitem__, default="")


def waiting(window: Window, baseline: Baseline) -> Waiting:
    """Return the seconds that work took beyond the usual."""
    routes: dict[str, float] = {}
    late: dict[str, list[float]] = {}
    longest = 0.0
    for name, route in window.routes.items():
        usual = baseline.of(name)
        durations = sorted(_durations(route))
        allowed = _allowed(usual, LATE)
        if len(durations) >= 3 and durations[len(durations) // 2] > _allowed(usual, MOSTLY):
            allowed = _allowed(usual, MOSTLY)
        slow = [seconds for seconds in durations if seconds > allowed]
        if slow:
            late[name] = slow
            above = sum(slow) - usual.seconds * len(slow)
            routes[name] = max(route.seconds - allowed * route.requests, above / 2, 0.0) / window.seconds
            longest = max(longest, slow[-1] - usual.seconds)
    return Waiting(sum(routes.values()), sum(map(len, late.values())), longest, routes, late)


def steadily_late(looks: Sequence[Look], baseline: Baseline, at: float, requests: int = STEADY) -> dict[str, float]:
    """Return the known routes whose last requests were all late, `requests` of them at least, and since when."""
    runs: dict[str, list[float]] = defaultdict(list)
    allowed: dict[str, float] = {}
    ended = set()
    for look in takewhile(lambda look: look.at > at - SELDOM, reversed(looks)):
        for name, route in look.routes.items():
            if name in ended or not route.finished:
                continue
            if name not in allowed:
                allowed[name] = _allowed(baseline.of(name), MOSTLY)
            for seconds in reversed(route.finished):
                if seconds <= allowed[name]:
                    ended.add(name)
                    break
                runs[name].append(look.at - seconds)
    return {name: run[-1] for name, run in runs.items() if len(run) >= requests and baseline.of(name).known}


def served(looks: Iterable[Look], baseline: Baseline, route: str, since: float) -> bool:
    """Return whether a request of a route has been answered in good time since then."""
    allowed = _allowed(baseline.of(route), MOSTLY)
    return any(
        seconds <= allowed
        for look in looks
        if look.at > since and route in look.routes
        for seconds in look.routes[route].finished
    )


def _allowed(usual: Usual, late: float) -> float:
    return usual.seconds + max(SPREADS * usual.spread, late)


def _durations(route: RouteLook) -> Iterable[float]:
    yield from route.finished
    yield from route.ages


WAITING = ("pool_exhausted", "threads_exhausted", "slow", "slow_everywhere")
"""Symptoms of work that takes longer than usual."""


def symptom(window: Window, baseline: Baseline, found: Waiting) -> Symptom:
    """Say how slowness shows: a resource that is used up, or just slow answers."""
    if (exhausted := _exhausted(window, found)) is not None:
        return exhausted
    servers = [look for look in window.latest if look.threads]
    full = [look for look in servers if look.busy >= look.threads]
    if full and (len(full) == len(servers) or any(look.queued for look in full)):
        return Symptom(
            "threads_exhausted",
            found.worst,
            size=sum(look.threads for look in full),
            in_use=sum(look.busy for look in full),
            waiting=sum(look.queued for look in servers),
            affected=found.affected,
        )
    usual = baseline.of(found.worst)
    durations = found.late.get(found.worst, [0.0])
    return Symptom(
        "slow" if len(found.routes) <= 2 else "slow_everywhere",
        found.worst,
        now=durations[len(durations) // 2],
        usual=usual.seconds if usual.known else None,
        affected=found.affected,
    )


def _exhausted(window: Window, found: Waiting) -> Symptom | None:
    """Say of which pools too little is left: those of the alias for which most wait or have given up."""
    pools = [(alias, pool) for look in window.latest for alias, pool in look.pools.items() if pool.size]
    short = [(alias, pool) for alias, pool in pools if pool.full or pool.queued * 2 > pool.returned]
    if not short and not window.pool_timeouts:
        return None
    wanted = dict(window.pool_timeouts)
    for alias, pool in short:
        wanted[alias] = wanted.get(alias, 0) + pool.waiting + pool.queued
    worst = max(wanted, key=wanted.__getitem__)
    those = [pool for alias, pool in short or pools if alias == worst]
    return Symptom(
        "pool_exhausted",
        found.worst,
        size=sum(pool.size for pool in those),
        in_use=sum(pool.in_use for pool in those),
        waiting=sum(pool.waiting for pool in those),
        affected=found.affected,
        database=worst,
    )


def saturated(looks: Sequence[Look], at: float) -> float | None:
    """Return since when a pool or all threads of a process have been used up, with others waiting for them.

    None unless that has been so for SATURATED looks in a row: fast work, too, may come faster than it is done.
    """
    by_process: dict[int, list[Look]] = defaultdict(list)
    for look in looks:
        by_process[look.pid].append(look)
    since = []
    for of_process in by_process.values():
        run = list(takewhile(_used_up, reversed(of_process)))
        if len(run) >= SATURATED and run[0].at > at - SATURATED:
            since.append(run[-1].at - run[-1].window)
    return min(since, default=None)


def _used_up(look: Look) -> bool:
    pools = look.pools.values()
    pool = any(each.full or (each.queued >= 5 and each.queued * 2 >= each.returned) for each in pools)
    return pool or bool(look.threads and look.busy >= look.threads and look.queued)


@dataclass(frozen=True, slots=True)
class Finding:
    """A symptom whose cause needs no arithmetic."""

    symptom: Symptom
    cause: Cause
    since: float
    """Unix seconds."""
    last_at: float | None = None
    """When it last showed, Unix seconds, where that is counted for a while; None: it shows now."""


def failures(looks: Sequence[Look], at: float, usual: dict[tuple[str, str], float]) -> list[Finding]:
    """Requests that end in errors more often than usual. `usual`: share of a route's requests, by route and error.

    Counted from the first failure of a kind to now, so that a page that is seldom asked for is judged as well; over
    once SUCCESSES requests have followed the last failure.
    """
    recent = [look for look in looks if at - FAILURE_WINDOW < look.at <= at]
    found = []
    for route, error in {
        (name, error) for look in recent for name, seen in look.routes.items() for error in seen.errors
    }:
        shown = [look for look in recent if error in _errors(look, route)]
        first, last = shown[0], shown[-1]
        number = sum(_errors(look, route)[error] for look in shown)
        ended = sum(look.routes[route].ended for look in recent if route in look.routes and look.at >= first.at)
        since = sum(look.routes[route].ended for look in recent if route in look.routes and look.at > last.at)
        share = number / max(ended, number)
        known = usual.get((route, error), 0.0)
        if number < FAILED or share < max(SHARE, 3 * known) or since >= SUCCESSES:
            continue
        kind, _, what = error.partition(":")
        cause = Cause(
            f"error:{kind}", what, "errors", route, number / (at - first.at + 1), share, known, running=number
        )
        name = "tasks_failing" if last.process == "worker" else "errors"
        found.append(Finding(Symptom(name, route, now=share, affected=number), cause, first.at - first.window, last.at))
    return sorted(found, key=lambda finding: -finding.cause.weight)


def _errors(look: Look, route: str) -> dict[str, int]:
    return look.routes[route].errors if route in look.routes else {}


DATABASE_STATES = ("refused", "timeout", "full")


def database(window: Window) -> Finding | None:
    """The database does not answer most processes that asked."""
    asked, bad = _asked(window)
    full = [look for look in bad if look.database == "full"]
    if not bad or (len(bad) * 2 < len(asked) and not full):
        return None
    since = min((look.database_since for look in bad if look.database_since), default=window.at)
    weight = float(sum(look.busy for look in window.latest) or 1)
    if full:
        users = max((look.database_users for look in full), key=len)
        names = ", ".join(f"{number} by {name}" for name, number in users.items())
        cause = Cause("database", "full", "state", weight=weight, running=sum(users.values()), detail=names)
        return Finding(Symptom("database_down", says="The database refuses connections"), cause, since)
    cause = Cause("database", bad[0].database, "state", weight=weight)
    return Finding(Symptom("database_down"), cause, since)


def database_in_doubt(window: Window) -> bool:
    """Whether a process waits for the database's answer, or has got none and others have not asked since."""
    asked, bad = _asked(window)
    since = min((look.database_since for look in bad), default=0.0)
    return any(look.database == "asking" for look in window.latest) or any(
        0.0 < look.database_at < since for look in asked
    )


def _asked(window: Window) -> tuple[list[Look], list[Look]]:
    """The processes that have asked the database, and those of them to which it did not respond correctly."""
    asked = [look for look in window.latest if look.database not in ("unknown", "asking")]
    return asked, [look for look in asked if look.database in DATABASE_STATES]


def dependencies(degraded: Mapping[str, float], databases: Iterable[str] = ()) -> list[Finding]:
    """Dependencies that their checks call degraded, by name, and since when; `databases`: the names of such."""
    return [
        Finding(Symptom("dependency", name, says=says), Cause("dependency", name, "state", weight=1.0), since)
        for name, since in sorted(degraded.items())
        for says in [f"The database `{name}` is down" if name in databases else ""]
    ]


def silent(looks: Sequence[Look], at: float, states: dict[int, str]) -> list[Finding]:
    """Processes that exist and look no more. `states`: what the operating system says of each, by process id."""
    latest: dict[int, Look] = {}
    for look in looks:
        latest[look.pid] = look
    found = []
    for pid, look in latest.items():
        state = states.get(pid, "gone")
        allowed = STARVED if state in ("running", "sleeping") else MISSING
        if at - look.at < allowed or state in ("gone", "zombie"):
            continue
        cause = Cause("process", look.process, "state", weight=float(look.threads or 1), detail=state, running=pid)
        found.append(Finding(Symptom("process_silent", look.process), cause, look.at))
    return found


def gone(killed: dict[str, Look], looks: Sequence[Look], at: float) -> list[Finding]:
    """Kinds of process of which the last was killed, and none has come in its place. `killed`: its last look."""
    alive = {look.process for look in looks if look.at > at - MISSING}
    found = []
    for process, last in killed.items():
        if process in alive or at - last.at < MISSING:
            continue
        cause = Cause("process", process, "state", weight=float(last.threads or 1), detail="killed", running=last.pid)
        found.append(Finding(Symptom("process_gone", process), cause, last.at))
    return found


def dying(exits: Sequence[float], at: float) -> Finding | None:
    """Workers that ended without being asked to, again and again. `exits`: when, Unix seconds, in order."""
    recent = [moment for moment in exits if at - EXITS_WITHIN < moment <= at]
    if len(recent) < EXITS or at - recent[-1] > EXITS_STOPPED:
        return None
    cause = Cause("process", "web", "state", weight=float(len(recent)), detail="killed", running=len(recent))
    shown = Symptom("workers_dying", affected=len(recent), now=at - recent[0])
    return Finding(shown, cause, recent[0], recent[-1])
