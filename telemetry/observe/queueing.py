"""What waits to be begun: requests for a thread, and tasks for a worker. The server and the worker report it here."""

import os
import threading
import time
from collections.abc import Hashable

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


def take() -> float:
    """Seconds that the request which this thread begins has waited; asked once."""
    seconds: float = getattr(_taken, "seconds", 0.0)
    _taken.seconds = 0.0
    return seconds


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
