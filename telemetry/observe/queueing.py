"""Requests that have arrived and wait for a thread: the server reports them here, the sampler and requests read it."""

import os
import threading
import time
from collections.abc import Hashable

_waiting: dict[Hashable, float] = {}
_taken = threading.local()


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


os.register_at_fork(after_in_child=_waiting.clear)
