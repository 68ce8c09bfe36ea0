"""Background tasks that wait for longer than usual. Pure."""

import math
from collections.abc import Sequence

from telemetry.diagnosis.model import Cause, Look, Symptom
from telemetry.diagnosis.signals import Finding
from telemetry.observe.activity import VICTIMS

LATE, TIMES = 15.0, 4.0
"""Seconds that a due task may wait, or times what they usually wait where that is more."""
LOOKED = 10.0
"""Seconds for which a look is believed."""
MEMORY = 1800.0
"""Seconds after which what is usual weighs 1/e."""


class Backlog:
    """How long due tasks usually wait (s)."""

    def __init__(self, usual: float = 0.0) -> None:
        self.usual = usual

    def add(self, look: Look) -> None:
        """Take in one process's second."""
        if look.process == "worker" and look.tasks_oldest < self.allowed:
            self.usual += (look.tasks_oldest - self.usual) * (1 - math.exp(-look.window / MEMORY))

    @property
    def allowed(self) -> float:
        return max(LATE, TIMES * self.usual)

    def findings(self, at: float, looks: Sequence[Look]) -> list[Finding]:
        """Late tasks, and what the workers do meanwhile."""
        workers = {look.pid: look for look in looks if look.process == "worker" and look.at > at - LOOKED}
        latest = max(workers.values(), key=lambda look: look.tasks_oldest, default=None)
        if latest is None or latest.tasks_oldest < self.allowed:
            return []
        symptom = Symptom("tasks_late", now=latest.tasks_oldest, usual=self.usual, waiting=latest.tasks_due)
        return [Finding(symptom, _cause(list(workers.values()), looks, at), latest.at - latest.tasks_oldest)]


def _cause(workers: Sequence[Look], looks: Sequence[Look], at: float) -> Cause:
    """What the tasks in flight are at, the longest first; else their number; else that none is begun."""
    running = [
        (now.oldest, now.number, activity, name)
        for look in workers
        for name, route in look.routes.items()
        for activity, now in route.now.items()
        if activity.kind not in VICTIMS
    ]
    if running and max(running)[0] >= LATE / 3:
        oldest, number, activity, name = max(running)
        component = activity.name or (name if activity.kind in ("cpu", "other") else "")
        kind = activity.kind
        return Cause(kind, component, "duration", name, 1.0, oldest, None, oldest, number)
    ended: dict[str, int] = {}
    for look in looks:
        if look.process == "worker" and look.at > at - LATE:
            for name, route in look.routes.items():
                ended[name] = ended.get(name, 0) + route.ended
    if any(ended.values()):
        most = max(ended, key=ended.__getitem__)
        return Cause("tasks", most.removeprefix("task:"), "requests", most, 1.0, sum(ended.values()) / LATE)
    return Cause("worker", "worker", "state", weight=1.0)
