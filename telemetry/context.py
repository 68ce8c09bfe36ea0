"""What is being worked on right now: one mutable observation per request or task.

The middleware (or the task worker) opens it; queries, the pool, tracing and the logs read it and add to it;
whoever opened it projects it into metrics, the canonical log line and the span when the work ends.
"""

import os
import random
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

TRUSTED_CALLER = "telemetry.trusted_caller"
"""The key of a request's environment under which a host says that its peer is a proxy of its own, whose `X-Request-ID`
and `traceparent` are believed. No header can set it."""

UNMATCHED = "unmatched"
"""The route of a request no URL pattern matched (or that was answered before routing)."""

REQUEST_ID = re.compile(r"[\w-]{8,64}", re.ASCII)


@dataclass(slots=True, eq=False)
class Observation:
    """One request or task while it runs. Times are seconds of `time.perf_counter()`; durations say their unit."""

    request_id: str
    method: str = ""
    """An HTTP method of the allow-list, "other", or "" for a task."""
    route: str = UNMATCHED
    """The route template (`/book/<slug>/`), or the task's name."""
    kind: str = "request"
    """"request" or "task"."""
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    db_queries: int = 0
    db_ms: float = 0.0
    db_wait_ms: float = 0.0
    user_id: int | None = None
    trace_id: str = ""
    span_id: str = ""
    sampled: bool = False
    """Whether its spans are kept."""
    finished: bool = False
    queued: float = 0.0
    """Seconds that the request had waited for a thread before it began."""
    apart: bool = False
    """Whether telemetry answers it itself: a probe, a scrape or a beacon, for which no customer waits."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What receivers of django-structlog's signals add to the line that sums it up."""
    bound: dict[str, Any] = field(default_factory=dict)
    """Under ASGI, what was bound to structlog's context when the response was made."""
    error: BaseException | None = None
    """What made it fail, when that was reported."""
    caller: str = ""
    """The `traceparent` that it continues, if any."""
    steps: list[Any] | None = None
    """What it has done, while it is not sampled; see `telemetry.traces.tail`."""
    trail: deque[tuple[float, str, str, str]] | None = None
    """Its latest steps (when, category, name, level), while errors are reported."""
    spent: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """(kind, name) of each activity that ended → [seconds, operations]."""
    doing: list[tuple[str, str]] = field(default_factory=list)
    """The activities going on, the innermost last; empty while it runs Python."""
    turned: float = 0.0
    """When the innermost activity began, or went on."""
    thread: int = 0
    """The thread that runs it, by `threading.get_native_id()`; 0 where several share one (asyncio)."""
    cpu: float = 0.0
    """CPU seconds that its thread had used when it began."""

    def begin(self, kind: str, name: str, now: float) -> None:
        """From now on it does or waits for this; `end` follows."""
        if self.doing:
            self._spend(self.doing[-1], now, 0)
        self.doing.append((kind, name))
        self.turned = now

    def end(self, now: float, operations: int = 1) -> None:
        """The innermost activity is over; `operations` is 0 for a step of one that goes on."""
        if self.doing:  # work of several threads at once may have ended it already
            self._spend(self.doing.pop(), now, operations)
            self.turned = now

    def _spend(self, activity: tuple[str, str], now: float, operations: int) -> None:
        sums = self.spent.get(activity)
        if sums is None:
            self.spent[activity] = [now - self.turned, operations]
        else:
            sums[0] += now - self.turned
            sums[1] += operations


_current: ContextVar[Observation | None] = ContextVar("telemetry_observation", default=None)

in_flight: dict[int, Observation] = {}
"""Every open observation of this process by `id()`; copy with `list(in_flight.values())` before iterating."""


def current() -> Observation | None:
    """The observation this thread or coroutine works for, or None outside of one."""
    return _current.get()


def activate(observation: Observation) -> None:
    """Make it the current one and list it as in flight."""
    _current.set(observation)
    in_flight[id(observation)] = observation


def deactivate(observation: Observation) -> None:
    """The work is over; harmless when it already was, or when another observation has become current."""
    in_flight.pop(id(observation), None)
    if _current.get() is observation:
        _current.set(None)


@contextmanager
def observing(observation: Observation) -> Iterator[Observation]:
    """`activate` for the length of a block."""
    token = _current.set(observation)
    in_flight[id(observation)] = observation
    try:
        yield observation
    finally:
        in_flight.pop(id(observation), None)
        _current.reset(token)


_pid = os.getpid()


def pid() -> int:
    """The process's id, asked of the system after a fork alone: it is on every line and checked at every count."""
    return _pid


def _forked() -> None:
    global _pid
    _pid = os.getpid()


os.register_at_fork(after_in_child=_forked)


def new_request_id() -> str:
    """32 hexadecimal digits. No secret: a good generator, without a system call for each request."""
    return f"{random.getrandbits(128):032x}"
