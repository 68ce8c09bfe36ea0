"""The health of a release, as Sentry counts it: how many requests went well, met an error, or broke.

A request is a session, counted by minute, so that one small report leaves for each, however many requests there are.
"""

import threading
import time
from datetime import UTC, datetime
from typing import Literal

Outcome = Literal["exited", "errored", "crashed"]
"""It went well; an error was reported and the customer got an answer; an exception became a 500."""


class Sessions:
    """Counts of the current minute."""

    def __init__(self) -> None:
        self._lock, self._minute, self._counts = threading.Lock(), 0, dict[Outcome, int]()

    def count(self, outcome: Outcome) -> dict[str, object] | None:
        """Count one; what the minute before came to, once it is over."""
        minute, over = int(time.time() // 60), None
        with self._lock:
            if minute != self._minute:
                over = self._take()
                self._minute = minute
            self._counts[outcome] = self._counts.get(outcome, 0) + 1
        return over

    def rest(self) -> dict[str, object] | None:
        """What has not been reported yet, if anything."""
        with self._lock:
            return self._take()

    def _take(self) -> dict[str, object] | None:
        counts, self._counts = self._counts, {}
        if not counts:
            return None
        started = datetime.fromtimestamp(self._minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"started": started, **{str(outcome): number for outcome, number in counts.items()}}
