"""From looks to incidents: what begins, what belongs to it, when it is over. Pure: judges the looks it is given."""

import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from telemetry.diagnosis import attribution, signals
from telemetry.diagnosis.baseline import Baseline
from telemetry.diagnosis.causation import BESIDE, OF_DATABASE, explains
from telemetry.diagnosis.model import Cause, Incident, Look
from telemetry.diagnosis.onset import last_seen, onset
from telemetry.diagnosis.sentence import clock, sentence
from telemetry.diagnosis.signals import Finding
from telemetry.diagnosis.watches import Watches
from telemetry.diagnosis.window import Window, merge

KEPT = 300.0
"""Seconds of looks in memory."""
WINDOW = 5.0
"""Seconds over which waiting is judged; what takes shorter is a hiccup."""
CONFIRMED = 2
"""Judgements in a row before an incident opens."""
CERTAIN = frozenset({"database_down", "dependency", "process_gone", "process_silent", "stopped", "workers_dying"})
"""Symptoms that one judgement is enough for."""
QUIET = 5
"""Judgements in a row without a trace of an incident before it closes."""
HANGS = 2.0
"""Age in seconds from which an operation hangs: its end is the end of what made it hang. That shorter ones are no
longer slow shows in the next request only."""
LEARNED_AFTER = 30.0
"""Seconds that a look waits before it is learned from: an incident's beginning must not teach what is usual."""
SECOND, STRONG = 0.05, 3.0
"""Share of all growth, and times the usual, that another cause must have to be an incident of its own."""
LEAST = signals.EXCESS / 2
"""Seconds of work a second that it must explain, of those that customers notice."""
SETTLED = 6
"""Judgements after which a second cause is believed: the first one's consequences need time to show as such."""
AFTERMATH = 5.0
"""Seconds from an incident's end in which what follows from it may still begin."""
LITTLE = 60.0
"""Seconds of healthy traffic from which there is a baseline to speak of."""
REMEMBERED, MOST_REMEMBERED = 86_400.0, 200
"""Seconds for which closed incidents are remembered, and how many."""
SLIGHT, RATIO = 0.05, 1.5
"""Seconds of work a second, and times the usual, from which growth can be a cause."""
PATIENT = 8
"""Judgements before a lack of processors is an incident: every start and every backup takes all of them for a while.
So for slowness without a cause, which mostly shows a moment later."""
NEW_USUAL = 3600.0
"""Seconds of an incident after which what it shows is learned as the usual."""
RECENT_CHANGE = 300.0
"""Seconds before a start within which a change is evidence."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a judgement found: an incident that opened or closed."""

    kind: str
    """"opened" or "closed"."""
    incident: Incident


@dataclass(slots=True)
class _Open:
    incident: Incident
    seen_at: float
    """When it was last found, or explained something that was."""
    shown_at: float
    """When its own cause last showed."""
    unseen: int = 0
    hung: bool = False
    """Whether an operation was seen to hang."""


@dataclass(slots=True)
class State:
    """What outlives a process: the open incidents, what is usual, what changed."""

    baseline: Baseline = field(default_factory=Baseline)
    open: list[Incident] = field(default_factory=list)
    closed: list[Incident] = field(default_factory=list)
    """Of the last REMEMBERED seconds, the oldest first."""
    releases: dict[str, float] = field(default_factory=dict)
    """When each release was first seen."""
    watches: Watches = field(default_factory=Watches)

    def to_json(self) -> dict[str, Any]:
        return {
            "baseline": self.baseline.to_json(),
            "open": [incident.to_json() for incident in self.open],
            "closed": [incident.to_json() for incident in self.closed],
            "releases": self.releases,
            "watches": self.watches.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "State":
        """Read what `to_json` made. Raises KeyError, TypeError or ValueError when it is of another shape."""
        open_, closed = ([Incident.from_json(each) for each in values[key]] for key in ("open", "closed"))
        watches = Watches.from_json(values.get("watches", {}))
        return cls(Baseline.from_json(values["baseline"]), open_, closed, dict(values["releases"]), watches)


class Diagnosis:
    """The incidents of one host. `judge` about once a second with the looks that came since."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self._open = [_Open(incident, incident.opened_at, incident.opened_at) for incident in self.state.open]
        self._looks: deque[Look] = deque()
        self._unlearned: deque[Look] = deque()
        self._suspected: dict[tuple[str, str], int] = {}
        self._since: dict[str, float] = {}
        self._usual_errors: dict[tuple[str, str], float] = {}
        self._troubled_at = self._learned_until = 0.0
        self._exits: deque[float] = deque(maxlen=100)
        self._killed: dict[str, Look] = {}

    @property
    def open(self) -> list[Incident]:
        """The incidents going on, the oldest first."""
        return sorted((each.incident for each in self._open), key=lambda incident: incident.started_at)

    @property
    def looks(self) -> Sequence[Look]:
        """The looks of the last KEPT seconds."""
        return self._looks

    def exited(self, at: float, last: Look) -> None:
        """A process ended without being asked to; `last`: what it saw last."""
        self._killed[last.process] = last
        if last.process == "web":
            self._exits.append(at)

    def judge(self, at: float, looks: Iterable[Look], states: dict[int, str] | None = None) -> list[Event]:
        """Take in new looks and return what opened and closed. `states`: see `signals.silent`."""
        for look in looks:
            self._looks.append(look)
            self._unlearned.append(look)
            self._note_release(look)
            self.state.watches.add(look)
        while self._looks and self._looks[0].at < at - KEPT:
            self._looks.popleft()
        findings = self._findings(at, states or {})
        events = self._open_new(at, findings) + self._close_old(at)
        self.state.open = self.open
        self._learn(at)
        return events

    def _findings(self, at: float, states: dict[int, str]) -> list[Finding]:
        """Everything that is wrong now: first what needs no arithmetic, then what takes longer than usual."""
        found = []
        window = merge(self._looks, at, WINDOW)
        down = signals.database(window)
        if down is not None:
            found.append(down)
        found += signals.silent(self._looks, at, states)
        found += signals.gone(self._killed, self._looks, at)
        dying = signals.dying(list(self._exits), at)
        if dying is not None:
            found.append(dying)
        found += self.state.watches.findings(at, self._looks)
        self._since = {
            # Between the last good answer and the first bad one: the middle is at most half of that off.
            name: self._since.get(name, (look.good_at.get(name, at) + at) / 2)
            for look in window.latest
            for name, state in look.facts.items()
            if state == "degraded"
        }
        found += signals.dependencies(self._since, {alias for look in window.latest for alias in look.pools})
        found += signals.failures(self._looks, at, self._usual_errors)
        found += self._waiting(window)
        return found

    def _waiting(self, window: Window) -> list[Finding]:
        waiting = signals.waiting(window, self.state.baseline)
        since = signals.saturated(self._looks, window.at)
        if not waiting.noticed and since is None:
            late = signals.steadily_late(self._looks, self.state.baseline, window.at)
            if not late:
                return []
            window = merge(self._looks, window.at, window.at - min(late.values()))
            waiting = signals.waiting(window, self.state.baseline)
        shown = signals.symptom(window, self.state.baseline, waiting)
        causes = [cause for cause in attribution.causes(window, self.state.baseline) if significant(cause)]
        if not causes and since is not None:
            return [Finding(shown, attribution.arrivals(window, self.state.baseline), since)]
        causes = causes or [Cause("unknown", "", "state", waiting.worst, waiting.excess)]
        total = sum(cause.weight for cause in causes)
        return [
            Finding(shown, cause, onset(self._looks, cause, self.state.baseline, window.at))
            for index, cause in enumerate(causes)
            if index == 0 or (cause.weight >= max(SECOND * total, LEAST) and significant(cause, STRONG))
        ]

    def _open_new(self, at: float, findings: list[Finding]) -> list[Event]:
        if any(finding.cause.kind not in _AROUND for finding in findings):
            self._troubled_at = at
        suspected: dict[tuple[str, str], int] = {}
        in_doubt = (
            any(finding.cause.kind in OF_DATABASE for finding in findings)
            and all(finding.symptom.name != "database_down" for finding in findings)
            and signals.database_in_doubt(merge(self._looks, at, 2.0))
        )
        events = []
        for index, finding in enumerate(findings):
            known = self._known(finding.cause)
            if known is not None:
                known.seen_at, known.shown_at, known.unseen = at, finding.last_at or at, 0
                known.hung = known.hung or finding.cause.oldest >= HANGS
                continue
            if self._explained(finding, findings, index, at):
                continue
            if in_doubt and finding.cause.kind in OF_DATABASE:
                continue  # a database that does not answer makes every query slow: wait for its word
            times = suspected[finding.cause.key] = self._suspected.get(finding.cause.key, 0) + 1
            if times >= self._needed(finding, index):
                events.append(Event("opened", self._new(at, finding)))
        self._suspected = suspected
        return events

    def _needed(self, finding: Finding, index: int) -> int:
        if finding.symptom.name in CERTAIN:
            return 1
        if finding.cause.kind in ("processor", "unknown"):
            return PATIENT
        # What only follows the first finding, or an incident, is given time to show whether it is a consequence.
        return SETTLED if self._open or index else CONFIRMED

    def _known(self, cause: Cause) -> _Open | None:
        return next((each for each in self._open if each.incident.cause.key == cause.key), None)

    def _explained(self, finding: Finding, findings: list[Finding], index: int, at: float) -> bool:
        """Whether something that is wrong already causes this; then it is listed there."""
        for each in self._open:
            if explains(each.incident.symptom, each.incident.cause, finding):
                each.seen_at = max(each.seen_at, at) if finding.symptom.name != "errors" else each.seen_at
                words = f"{finding.symptom.name}:{finding.cause.component or finding.cause.kind}"
                if words not in each.incident.consequences and len(each.incident.consequences) < 20:
                    each.incident.consequences.append(words)
                return True
        for past in reversed(self.state.closed):
            ended_at = past.ended_at or at
            if finding.since > ended_at + AFTERMATH:
                continue
            if ended_at > at - signals.FAILURE_WINDOW and explains(past.symptom, past.cause, finding):
                return True  # what is counted over a minute is still counted
            if past.cause.key == finding.cause.key and finding.cause.kind in BESIDE:
                return True  # it is seen over a longer time again: the same beginning is the same incident
        return any(explains(other.symptom, other.cause, finding) for other in findings[:index])

    def _new(self, at: float, finding: Finding) -> Incident:
        started = min(finding.since, at)
        changes = [
            f"release {name} started at {clock(seen, at)}"
            for name, seen in self.state.releases.items()
            if -WINDOW <= started - seen <= RECENT_CHANGE
        ]
        incident = Incident(
            id=uuid.uuid4().hex[:12],
            symptom=finding.symptom,
            cause=finding.cause,
            started_at=started,
            opened_at=at,
            sentence=sentence(finding.symptom, finding.cause, started, at, changes),
            changes=changes,
        )
        self._open.append(_Open(incident, at, finding.last_at or at))
        return incident

    def _close_old(self, at: float) -> list[Event]:
        events = []
        for each in list(self._open):
            if each.seen_at == at:
                continue
            each.unseen += 1
            if each.unseen >= QUIET and self._over(each, at):
                self._open.remove(each)
                shown_at = last_seen(self._looks, each.incident.cause, self.state.baseline) or each.shown_at
                each.incident.ended_at = max(min(shown_at, each.seen_at), each.incident.started_at)
                events.append(Event("closed", each.incident))
                self.state.closed.append(each.incident)
        oldest = at - REMEMBERED
        self.state.closed = [each for each in self.state.closed if (each.ended_at or at) > oldest][-MOST_REMEMBERED:]
        return events

    def _over(self, each: _Open, at: float) -> bool:
        """Whether work shows that the trouble is over: that nobody came to meet it does not."""
        cause = each.incident.cause
        if each.incident.symptom.name not in signals.WAITING or each.hung or cause.oldest >= HANGS:
            return True
        # Whoever held something holds it no more.
        if cause.kind in ("lock", "held") or cause.factor == "requests" or at - each.seen_at >= signals.SELDOM:
            return True
        return signals.served(self._looks, self.state.baseline, cause.route, each.seen_at)

    def _note_release(self, look: Look) -> None:
        if look.release and look.release not in self.state.releases:
            self.state.releases[look.release] = look.at if self.state.releases else 0.0  # the first replaced none
            while len(self.state.releases) > 10:
                del self.state.releases[min(self.state.releases, key=self.state.releases.__getitem__)]

    def _learn(self, at: float) -> None:
        """Learn from looks that are old enough, unless something was wrong around them."""
        cutoff = at - LEARNED_AFTER
        seconds, self._learned_until = cutoff - (self._learned_until or cutoff), cutoff
        due: list[Look] = []
        while self._unlearned and self._unlearned[0].at <= cutoff:
            due.append(self._unlearned.popleft())
        incidents = [each.incident for each in self._open if each.incident.cause.kind not in _AROUND]
        if seconds <= 0 or any(at - each.opened_at < NEW_USUAL for each in incidents):
            return
        # What is suspected may be an incident's beginning; without a baseline, though, everything is suspect.
        suspected = not incidents and at - self._troubled_at < LEARNED_AFTER
        if suspected and self.state.baseline.healthy_seconds >= LITTLE:
            return
        window = merge(due, cutoff, KEPT)
        late: dict[str, float] = {}
        if not incidents and self.state.baseline.healthy_seconds >= LITTLE:  # an incident may be beginning
            late = signals.steadily_late(self._looks, self.state.baseline, at, requests=1)
        self.state.baseline.learn(window.routes, seconds, without=late)
        for name, route in window.routes.items():
            for error, number in route.errors.items():
                key = (name, error)
                if key in self._usual_errors or len(self._usual_errors) < 1000:
                    share = number / max(route.ended, number)
                    self._usual_errors[key] = 0.9 * self._usual_errors.get(key, 0.0) + 0.1 * share


def significant(cause: Cause, ratio: float = RATIO) -> bool:
    """Whether it grew enough to be believed: what takes a tenth longer is no cause of requests that hang."""
    return cause.weight >= SLIGHT and cause.now >= ratio * (cause.usual or 0.0)


_AROUND = frozenset({"processor"})
"""Kinds of cause that lie outside the site, whose own work goes on as ever: it is learned from meanwhile."""
