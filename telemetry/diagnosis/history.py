"""The last hours of a host in slices of half a minute, kept in memory by the process that leads. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from telemetry.diagnosis.model import Look
from telemetry.diagnosis.window import merge

SLICE, KEPT = 30.0, 360
"""Seconds of one slice, and slices kept: three hours."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What happened in SLICE seconds before `at` (Unix seconds)."""

    at: float
    requests: float = 0.0
    """A second."""
    errors: float = 0.0
    """Responses of status 500 and above, a second."""
    p50: float = 0.0
    p95: float = 0.0
    """Seconds that half, and all but a twentieth, of the requests took at most."""
    busy: int = 0
    threads: int = 0
    queued: int = 0
    pool_in_use: int = 0
    pool_size: int = 0
    cpu: float = 0.0
    """Processors that the site used."""
    memory: int = 0
    """Bytes resident, all processes together."""
    on: dict[str, float] = field(default_factory=dict)
    """Seconds of work a second by what it was spent on."""


def slice_of(looks: Sequence[Look], at: float, seconds: float = SLICE) -> Slice:
    """Add up the looks of the `seconds` before `at`."""
    window = merge(looks, at, seconds)
    requests = {name: route for name, route in window.routes.items() if not name.startswith("task:")}
    durations = sorted(duration for route in requests.values() for duration in route.finished) or [0.0]
    on: dict[str, float] = {}
    for route in requests.values():
        for activity, spent in route.spent.items():
            on[activity.kind] = on.get(activity.kind, 0.0) + spent.seconds / seconds
    return Slice(
        at=at,
        requests=sum(route.ended for route in requests.values()) / seconds,
        errors=sum(sum(route.errors.values()) for route in requests.values()) / seconds,
        p50=durations[len(durations) // 2],
        p95=durations[int(len(durations) * 0.95)],
        busy=sum(look.busy for look in window.latest),
        threads=sum(look.threads for look in window.latest),
        queued=sum(look.queued for look in window.latest),
        pool_in_use=sum(pool.in_use for look in window.latest for pool in look.pools.values()),
        pool_size=sum(pool.size for look in window.latest for pool in look.pools.values()),
        cpu=sum(look.cpu for look in window.latest),
        memory=sum(look.memory for look in window.latest),
        on=on,
    )


class History:
    """Slices in order of time."""

    def __init__(self) -> None:
        self._slices = deque[Slice](maxlen=KEPT)

    def add(self, looks: Sequence[Look], at: float) -> bool:
        """Make the next slice when its time has come; whether it had."""
        if self._slices and at < self._slices[-1].at + SLICE:
            return False
        self._slices.append(slice_of(looks, at))
        return True

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(one) for one in self._slices]
