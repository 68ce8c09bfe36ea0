"""What usually goes on and stops: requests, and what a host has declared. Pure.

Time is cut into slots, and of each hour of the week it is learned in which share of them something happens. A silence
is the more unusual the surer each of its slots was: the evidence is minus the logarithm of the chance of such a
silence. A quiet hour, a night and a site that few visit give next to none. How much evidence silences usually reach
by themselves is learned as well: visitors do not come independently of one another.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from telemetry.diagnosis.model import Cause, Look, Symptom
from telemetry.diagnosis.signals import Finding
from telemetry.signals import Seen

REQUESTS = "requests"
TRAFFIC = Seen(0, 10.0, "Requests stop", "something before this host: its network, the proxy, or the name")
EVIDENCE, TIMES = 14.0, 3.0
"""From which a silence is wrong (a chance of one in a million), and times what silences usually reach."""
LEARNED = 180
"""Slots after which something is judged, and after which what was learned weighs 1/e."""
SURE = 0.98
"""As sure as a slot can be."""
STEADY, BUSY, OFTEN = 0.8, 0.97, 60.0
"""Share of slots that is needed where slots are shorter than OFTEN (s), as what comes by chance is not judged by them:
STEADY, or BUSY where the hour is not known from another day, because a night may begin."""
WEEKS = 4
"""Weeks after which what was learned of an hour weighs 1/e."""
WEEK = 7 * 24
GIVEN_UP = 86_400.0
"""Seconds after which a silence is the new usual."""


@dataclass(slots=True)
class _Usual:
    """Of one hour of the week: the share of slots with something in it, requests a slot, slots, and the week's day."""

    share: float = 0.0
    requests: float = 0.0
    slots: float = 0.0
    first: float = 0.0
    """When it was first learned."""

    def learn(self, happened: bool, requests: int, memory: float) -> None:
        self.slots = min(self.slots + 1, memory)
        self.share += (happened - self.share) / self.slots
        self.requests += (requests - self.requests) / self.slots


@dataclass(slots=True)
class Flow:
    """One thing that usually goes on."""

    slot: float
    says: str
    because: str
    recent: _Usual = field(default_factory=_Usual)
    hours: dict[int, _Usual] = field(default_factory=dict)
    index: int = -1
    number: int = 0
    requests: int = 0
    looked: bool = False
    """Whether this slot was looked at."""
    evidence: float = 0.0
    largest: float = 0.0
    """The most evidence of a silence that ended by itself."""
    since: float = 0.0
    """When it last happened."""
    every: float = 0.0
    """Seconds between two, as usual."""

    def add(self, at: float, number: int, requests: int) -> None:
        """Take in what a second brought."""
        index = int(at // self.slot)
        if index > self.index:  # a process that is late by a second adds to the slot that runs
            if self.looked and self.index >= 0:
                self._end(self.index * self.slot)
            self.index, self.number, self.requests, self.looked = index, 0, 0, False
        self.looked = True
        self.number += number
        self.requests += requests
        if number:
            if self.evidence < self.needed:
                self.largest = max(self.largest, self.evidence)
            self.evidence, self.since = 0.0, at

    @property
    def needed(self) -> float:
        return max(EVIDENCE, TIMES * self.largest)

    @property
    def stopped(self) -> bool:
        return self.recent.slots >= LEARNED and self.evidence >= self.needed

    def _end(self, began: float) -> None:
        hour = _hour(began)
        known, visitors = self._expected(hour, began)
        if not self.number and known:
            came = min(self.requests / visitors, 1.0) if visitors else 1.0
            self.evidence -= math.log(1 - min(known, SURE)) * came
        self.largest *= math.exp(-1 / (20 * LEARNED))
        if began - self.since >= GIVEN_UP:
            self.evidence = 0.0
        if self.stopped:
            return  # an incident teaches nothing
        usual = self.hours.setdefault(hour, _Usual(first=began))
        usual.learn(bool(self.number), self.requests, max(WEEKS * 3600 / self.slot, 1.0))
        self.recent.learn(bool(self.number), self.requests, LEARNED)
        self.every = self.slot / max(-math.log(1 - min(self.recent.share, SURE)), 1e-3)

    def _expected(self, hour: int, at: float) -> tuple[float, float]:
        """The share of slots in which it should happen now, and the requests of one; no share when that is not known.

        By the same hour of a week before, else the least of that hour on other days; where slots are short, also by
        the last half hour.
        """
        earlier = self._near(hour, at, 2 * 86_400)
        if not earlier.slots:
            days = [self._near(hour + 24 * day, at, 3 * 3600) for day in range(1, 7)]
            earlier = min((each for each in days if each.slots), key=lambda each: each.share, default=earlier)
        if self.slot < OFTEN:
            share = min(self.recent.share, earlier.share) if earlier.slots else self.recent.share
            return (share if share >= (STEADY if earlier.slots else BUSY) else 0.0), 0.0
        return earlier.share, earlier.requests

    def _near(self, hour: int, at: float, age: float) -> _Usual:
        """What is usual around an hour of the week, learned before the last `age` seconds: one has few slots."""
        hours = [self.hours.get((hour + by) % WEEK) for by in (-1, 0, 1)]
        known = [each for each in hours if each is not None and at - each.first > age]
        slots = sum(each.slots for each in known)
        if not slots or hours[1] not in known:
            return _Usual()
        share, requests = (
            sum(getattr(each, what) * each.slots for each in known) / slots for what in ("share", "requests")
        )
        return _Usual(share, requests, slots)


def _hour(at: float) -> int:
    then = datetime.fromtimestamp(at, UTC)
    return then.weekday() * 24 + then.hour


class Flows:
    """Everything that usually goes on on a host."""

    def __init__(self) -> None:
        self._flows = {REQUESTS: Flow(*TRAFFIC[1:])}

    def add(self, look: Look) -> None:
        """Take in one process's second."""
        requests = sum(route.begun for name, route in look.routes.items() if not name.startswith("task:"))
        for name, seen in look.flows.items():
            known = self._flows.get(name)
            if known is None or (known.slot, known.says, known.because) != seen[1:]:
                known = self._flows[name] = Flow(*seen[1:])
            known.add(look.at, seen.number, 0)
        if look.process == "web":
            came = requests + look.busy + look.queued
            for name, known in self._flows.items():
                known.add(look.at, came if name == REQUESTS else 0, requests)

    def findings(self, at: float) -> list[Finding]:
        """What has stopped, and when it last happened."""
        return [_finding(name, flow, at) for name, flow in self._flows.items() if flow.stopped]

    def to_json(self) -> dict[str, Any]:
        return {name: asdict(flow) for name, flow in self._flows.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Flows":
        """Read what `to_json` made. Raises KeyError, TypeError or ValueError when it is of another shape."""
        flows = cls()
        for name, kept in values.items():
            hours = {int(hour): _Usual(**usual) for hour, usual in kept["hours"].items()}
            recent = _Usual(**kept["recent"])
            flows._flows[name] = Flow(**{**kept, "hours": hours, "recent": recent, "looked": False})
        return flows


def _finding(name: str, flow: Flow, at: float) -> Finding:
    symptom = Symptom("stopped", name, now=at - flow.since, usual=flow.every, says=flow.says)
    return Finding(symptom, Cause("flow", name, "state", weight=1.0, detail=flow.because), flow.since)
