"""The issues of incidents that are over are resolved, in the background."""

import threading
import time
from collections.abc import Sequence

from telemetry.diagnosis.board import Board
from telemetry.diagnosis.model import Incident
from telemetry.errors import issues
from telemetry.logger import get_logger
from telemetry.metrics import catalogue

RETRY, ATTEMPTS = 10.0, 6
"""Seconds after an attempt that failed or found no issue yet, and how many there are."""

log = get_logger("telemetry.incidents")


class Resolver:
    """`offer` is called by one thread, and waits for nothing. Each issue is resolved once, by one process of a host."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._done: set[str] = set()
        self._attempts: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._again_at = 0.0

    def offer(self, incidents: Sequence[Incident]) -> None:
        """Begin to resolve what is over and was reported, if this process is the one that resolves."""
        self._done &= {each.id for each in incidents}
        over = [each for each in incidents if each.ended_at is not None and each.id not in self._done]
        if not over or (self._thread is not None and self._thread.is_alive()) or time.monotonic() < self._again_at:
            return
        tracker = issues.tracker()
        if tracker is not None and self._board.hold("resolver"):
            self._thread = threading.Thread(
                target=self._run, args=(tracker, over), name="telemetry-issues", daemon=True
            )
            self._thread.start()

    def _run(self, tracker: issues.Tracker, over: Sequence[Incident]) -> None:
        for incident in over:
            if not self._board.claimed(_reported(incident)) or self._board.claimed(_resolved(incident)):
                self._done.add(incident.id)
            elif not self._goes_on(incident):
                self._resolve(tracker, incident)

    def _goes_on(self, incident: Incident) -> bool:
        """Whether the same has begun again: then the issue is that one's as well, and is resolved when it is over."""
        return any(issue_of(each) == issue_of(incident) for each in self._board.incidents())

    def _resolve(self, tracker: issues.Tracker, incident: Incident) -> None:
        try:
            issue = tracker.find(incident.id, incident.opened_at)
        except Exception as error:  # whatever the server answers
            self._later(incident, type(error).__name__)
            return
        if issue is None:
            self._later(incident, "NotFound")
            return
        self._end(incident)  # before it is asked for: what people do with the issue from then on stands
        try:
            tracker.resolve(issue)
        except Exception as error:
            _count(incident, type(error).__name__)

    def _later(self, incident: Incident, reason: str) -> None:
        self._attempts[incident.id] = self._attempts.get(incident.id, 0) + 1
        self._again_at = time.monotonic() + RETRY
        if self._attempts[incident.id] >= ATTEMPTS:
            self._end(incident)
            _count(incident, reason)

    def _end(self, incident: Incident) -> None:
        self._board.claim(_resolved(incident))
        self._done.add(incident.id)
        self._attempts.pop(incident.id, None)


def _count(incident: Incident, reason: str) -> None:
    catalogue.telemetry_dropped.labels("sentry", "not_resolved").inc()
    log.warning("issue_not_resolved", id=incident.id, error_type=reason)


def issue_of(incident: Incident) -> tuple[str, str]:
    """What incidents of one issue have in common: kind and culprit."""
    return incident.symptom.name, ":".join(incident.cause.key)


def _reported(incident: Incident) -> str:
    return f"reported-{incident.id}"


def _resolved(incident: Incident) -> str:
    return f"resolved-{incident.id}"
