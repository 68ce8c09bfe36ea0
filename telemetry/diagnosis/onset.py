"""When it began: walk back from now to where the cause left the usual, not to where a threshold was crossed."""

from collections import defaultdict
from collections.abc import Sequence

from telemetry.diagnosis.baseline import Baseline
from telemetry.diagnosis.model import Cause, Look
from telemetry.diagnosis.signals import SELDOM
from telemetry.observe.activity import Activity, Running, Spent

GAP = 4.0
"""Seconds without the cause that still belong to one start; SELDOM where nothing is done that could show it, because
pages of a quiet site are not asked for all the time."""
GROWN = 2.0
"""Times the usual from which a factor has left it."""

STARVED = ("processor", "database", "unknown")
"""Causes that show in all work."""
OF_PAGES = ("cpu", "other", "held")
"""Kinds of cause that show in the work of one page; so do operations that a page does more often."""


def onset(looks: Sequence[Look], cause: Cause, baseline: Baseline, at: float) -> float:
    """Return when the cause began, Unix seconds. `looks` are in order of time."""
    if cause.factor == "requests":
        return _surge(looks, baseline, at)
    # Nobody waits for a lock before there is a transaction to hold it.
    earliest = cause.holder.since if cause.holder is not None else 0.0
    started = at
    for look in reversed(looks):
        began = _began(look, cause, baseline)
        if began is not None:
            started = min(started, began)
        elif look.at < started - (GAP if _would_show(look, cause) else SELDOM):
            break
    return max(started, earliest)


def last_seen(looks: Sequence[Look], cause: Cause, baseline: Baseline) -> float | None:
    """Return when the cause last showed, Unix seconds; None when it is not in these looks."""
    if cause.factor in ("requests", "errors"):
        return None
    return next((look.at for look in reversed(looks) if _began(look, cause, baseline) is not None), None)


def _began(look: Look, cause: Cause, baseline: Baseline) -> float | None:
    """When the cause began in this look; None where it does not show."""
    return _starved(look, baseline) if cause.kind in STARVED else _operation(look, cause)


def _of_page(cause: Cause) -> bool:
    """Whether it shows in the work of one page: what another page does as often is its own affair."""
    return cause.kind in OF_PAGES or cause.factor == "operations"


def _would_show(look: Look, cause: Cause) -> bool:
    """Whether something was done that the cause makes slow."""
    if cause.kind in STARVED:
        return any(route.finished for route in look.routes.values())
    return any(
        spent.operations > 0 and _matches(activity, cause)
        for name, route in look.routes.items()
        if not _of_page(cause) or name == cause.route
        for activity, spent in route.spent.items()
    )


def _surge(looks: Sequence[Look], baseline: Baseline, at: float) -> float:
    """Walk back second by second, over all processes."""
    begun: dict[int, int] = defaultdict(int)
    for look in looks:
        begun[int(look.at)] += sum(route.begun for route in look.routes.values())
    started = at
    for second in range(int(at), int(at - len(looks)), -1):
        if begun[second] >= max(GROWN * baseline.requests, 1.0):
            started = second - 1.0
        elif second < started - 2:
            break
    return started


def _operation(look: Look, cause: Cause) -> float | None:
    found = None
    for name, route in look.routes.items():
        if _of_page(cause) and name != cause.route:
            continue
        for activity, spent in route.spent.items():
            running = route.now.get(activity, Running(0, 0.0))
            if not _matches(activity, cause) or not _grown(spent, running, route.requests, cause):
                continue
            began = look.at - max(look.window, running.oldest)
            if running.number and running.oldest < look.window and spent.operations <= running.number:
                began = look.at - running.oldest  # all of it began within this look
            found = began if found is None else min(found, began)
    return found


def _matches(activity: Activity, cause: Cause) -> bool:
    if cause.kind == "lock":
        return activity.kind == "query" and activity.name == cause.component
    if cause.kind in ("cpu", "other"):
        return activity.kind == cause.kind
    if cause.kind == "held":
        return activity.kind == "held" and cause.component.startswith(activity.name)
    return activity.kind == cause.kind and activity.name == cause.component


def _grown(spent: Spent, running: Running, requests: int, cause: Cause) -> bool:
    usual = cause.usual or 0.0
    if cause.factor == "operations":
        return spent.operations / max(requests, 1) >= max(GROWN * usual, usual + 1)
    per_operation = max(spent.seconds / max(spent.operations, running.number, 1.0), running.oldest)
    # Halfway to what it takes now, on a scale of ratios, is no longer the usual.
    return per_operation >= max(GROWN * usual, min(0.1, cause.now / 2), 0.001)


def _starved(look: Look, baseline: Baseline) -> float | None:
    late = 0.0
    for name, route in look.routes.items():
        usual = baseline.of(name)
        late = max(late, *(age - usual.seconds for age in (*route.ages, *route.finished, 0.0)))
    return look.at - max(look.window, late) if late >= 0.25 else None
