"""What the site depends on besides the database, asked in the background: `health.register(name, ask)`."""

import threading
import time
from collections.abc import Callable
from typing import Literal

from telemetry.logger import get_logger
from telemetry.metrics import catalogue

State = Literal["ok", "degraded", "disabled", "unknown"]
"""degraded: it does not respond correctly; disabled: it is not configured; unknown: not asked yet."""

EVERY = 4.0
"""Seconds between two questions: an alert names the start of an outage no more exactly than this."""

log = get_logger(__name__)


class Check:
    """One dependency: asked at most once per `every` seconds, in a thread that nobody waits for."""

    def __init__(self, name: str, ask: Callable[[], State], every: float) -> None:
        self.name, self._ask, self._every = name, ask, every
        self.state: State = "unknown"
        self.good_at = 0.0
        """When the last good answer came (Unix seconds)."""
        self._asked = -every
        self._running = threading.Lock()

    def refresh(self) -> None:
        """Ask again when the answer is old and nobody is asking."""
        if time.monotonic() - self._asked < self._every or not self._running.acquire(blocking=False):
            return
        self._asked = time.monotonic()
        threading.Thread(target=self._run, name=f"telemetry-check-{self.name}", daemon=True).start()

    def _run(self) -> None:
        why = {}
        try:
            state = self._ask()
        except Exception as error:  # any fault of a dependency is its state, not ours
            state, why = "degraded", {"error_type": type(error).__name__}
        finally:
            self._running.release()
        before, self.state = self.state, state
        if state == "ok":
            self.good_at = time.time()
        if state == "degraded" != before:
            log.warning("dependency_degraded", dependency=self.name, **why)
        if state != "disabled":
            catalogue.dependency_up.labels(self.name).set(state == "ok")


_checks: dict[str, Check] = {}


def register(name: str, ask: Callable[[], State], *, every: float = EVERY) -> None:
    """Ask a dependency every so many seconds; /api/health, `dependency_up` and an alert say how it is.

    `ask` answers "ok", "degraded" or "disabled" within a few seconds; an exception means "degraded". The latest
    registration of a name counts.
    """
    _checks[name] = Check(name, ask, every)


def checks() -> list[Check]:
    """Every registered check, in the order of registration."""
    return list(_checks.values())


def refresh() -> None:
    """Ask whatever has not been asked for its time; returns at once."""
    for check in checks():
        check.refresh()
