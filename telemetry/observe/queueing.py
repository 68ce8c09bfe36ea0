"""What waits to be begun: requests for a thread, and tasks for a worker. The server and the worker report it here."""

import os
import re
import threading
import time
from collections.abc import Hashable, Mapping
from typing import Any

from telemetry.context import TRUSTED_CALLER

LONGEST = 300.0
"""Seconds; no proxy keeps a request for longer, so a stamp that is older is wrong."""
_STAMP = re.compile(r"(?:t=)?(\d{10}(?:\d{3}){0,2})(\.\d{1,9})?", re.ASCII)
_waiting: dict[Hashable, float] = {}
_taken = threading.local()
_backlog = (0, 0.0)


def arrived(what: Hashable) -> None:
    """A request was handed to the threads."""
    _waiting[what] = time.perf_counter()


def started(what: Hashable) -> None:
    """A thread begins with it; what it waited is for the next observation of this thread."""
    since = _waiting.pop(what, None)
    _taken.seconds = time.perf_counter() - since if since is not None else 0.0


def take(environ: Mapping[str, Any]) -> float:
    """Seconds that the request which this thread begins has waited; asked once.

    Since the server had the whole of it, or since a trusted proxy took it, where that says so in `X-Request-Start`.
    """
    seconds: float = getattr(_taken, "seconds", 0.0)
    _taken.seconds = 0.0
    if environ.get(TRUSTED_CALLER) and "HTTP_X_REQUEST_START" in environ:
        seconds = max(seconds, _since(environ["HTTP_X_REQUEST_START"]))
    return seconds


def _since(stamp: str) -> float:
    """Seconds since the proxy's stamp; 0 where it is none, lies ahead (its clock differs) or too far back."""
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return 0.0
    whole, fraction = match.groups()
    # Seconds, or what is as many digits longer: milliseconds or microseconds.
    waited = time.time() - float(whole + (fraction or "")) / 1000 ** ((len(whole) - 10) // 3)
    return waited if 0 < waited < LONGEST else 0.0


def waiting() -> list[float]:
    """How long each has waited so far (s)."""
    now = time.perf_counter()
    return [now - since for since in list(_waiting.values())]


def report_backlog(due: int, oldest: float) -> None:
    """So many background tasks should have begun; the oldest of them has waited for so long (s)."""
    global _backlog
    _backlog = (due, oldest)


def backlog() -> tuple[int, float]:
    """What was reported last."""
    return _backlog


os.register_at_fork(after_in_child=_waiting.clear)
