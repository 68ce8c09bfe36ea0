"""Who holds a database connection, who waits for one, and since when.

The backend (`telemetry.postgresql`) reports every checkout here, so the counts are of what happened and not an
arithmetic on the pool's own figures, which show phantom connections while the pool is unopened or the database down.
Times are seconds of `time.perf_counter()`.
"""

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS

from telemetry import traces
from telemetry.context import Observation, current
from telemetry.metrics import catalogue
from telemetry.metrics.containment import failsafe
from telemetry.observe.drivers import PoolTimeout
from telemetry.observe.snapshot import Held, Snapshot, State
from telemetry.observe.statements import Statements

_IN_TRANSACTION = (2, 3)
"""libpq's PQTRANS_INTRANS and PQTRANS_INERROR."""
QUEUED = 0.005
"""Seconds of waiting from which a checkout counts as one that had to queue."""


class Holder:
    """One connection while it is checked out. Written by its thread alone, read by the sampler."""

    __slots__ = ("last_query", "observation", "query", "raw", "since", "turned", "waited")

    def __init__(self, raw: Any = None, waited: float = 0.0) -> None:
        # Weak: a thread that ends without closing must lose the connection here as it does in the pool.
        self.raw = weakref.ref(raw) if raw is not None else None
        self.observation: Observation | None = current()
        self.waited = waited
        self.since = self.turned = time.perf_counter()
        """`turned`: when the running query began, or since when there is none."""
        self.query: str | None = None
        self.last_query = ""

    def begin(self, summary: str, now: float) -> None:
        """A query starts on this connection."""
        self.turned = now
        self.query = self.last_query = summary

    def end(self, now: float) -> None:
        """No query runs any more."""
        self.query = None
        self.turned = now

    def held(self, now: float) -> Held:
        """What this connection is doing."""
        query, raw = self.query, self.raw() if self.raw is not None else None
        state: State
        if query:
            state = "query"
        elif raw is None or raw.closed:
            state = "leaked"
        elif raw.pgconn.transaction_status in _IN_TRANSACTION:
            state = "idle_in_transaction"
        else:
            state = "idle"
        return Held(
            state=state,
            query=query or self.last_query,
            route=self.observation.route if self.observation is not None else "",
            ended=self.observation is not None and self.observation.finished,
            age=max(now - self.turned, 0.0),
            backend_pid=raw.info.backend_pid if raw is not None and not raw.closed else None,
        )


class Waiter(NamedTuple):
    """A thread in the queue for a connection."""

    since: float


class Returned(NamedTuple):
    """A finished checkout."""

    at: float
    waited: float
    held: float


class Registry:
    """The checkouts of one database alias in this process."""

    def __init__(self, alias: str = DEFAULT_DB_ALIAS) -> None:
        self.alias = alias
        self.holders: dict[int, Holder] = {}
        self.waiters: dict[int, Waiter] = {}
        # Appends are atomic and bounded; the sampler drains them. Nothing here takes a lock in a request.
        self.returned: deque[Returned] = deque(maxlen=10_000)
        self.timeouts: deque[tuple[float, float, int]] = deque(maxlen=1000)
        """(gave up at, waited since, connections in use then)."""
        self.lost: deque[float] = deque(maxlen=1000)
        """When a connection broke under a query or could not be opened."""
        self.pool: Any = None
        self.used = False
        """Whether a connection was ever asked for."""
        self.statements = Statements()
        """Which statements are sent often."""

    def check_out(self, connect: Callable[[], Any], pool: Any) -> tuple[Any, Holder]:
        """Get a connection through `connect`, counted as waiting meanwhile and as held afterwards."""
        self.used = True
        if pool is None:
            raw = connect()
            return raw, self._hold(Holder(raw))
        self.pool = pool
        observation = current()
        waiter = Waiter(time.perf_counter())
        self.waiters[id(waiter)] = waiter
        outcome, error = "ok", None
        if observation is not None:
            observation.begin("pool", "", waiter.since)
        try:
            raw = connect()
        except Exception as raised:
            outcome, error = "error", raised
            if isinstance(raised, PoolTimeout):
                outcome = "timeout"
                catalogue.of_database(catalogue.db_pool_timeouts, self.alias).inc()
                self.timeouts.append((time.perf_counter(), waiter.since, len(self.holders)))
            raise
        finally:
            del self.waiters[id(waiter)]
            now = time.perf_counter()
            waited = now - waiter.since
            if observation is not None:
                observation.end(now)
            _waited(self.alias, waited, outcome, observation, error)
        return raw, self._hold(Holder(raw, waited))

    def _hold(self, holder: Holder) -> Holder:
        self.holders[id(holder)] = holder
        return holder

    def check_in(self, holder: Holder) -> None:
        """The connection went back (or was closed); harmless the second time."""
        if self.holders.pop(id(holder), None) is not None:
            now = time.perf_counter()
            self.returned.append(Returned(now, holder.waited, now - holder.since))

    @property
    def idle(self) -> int:
        """Connections in the pool that are ready."""
        return int(self.pool.get_stats().get("pool_available", 0)) if self.pool is not None else 0

    def snapshot(self) -> Snapshot:
        """The pool now, and what happened in it since the last snapshot."""
        now = time.perf_counter()
        wall = time.time() - now
        returned, timeouts, lost = _drained(self.returned), _drained(self.timeouts), _drained(self.lost)
        waits = [now - waiter.since for waiter in list(self.waiters.values())]
        waits = [wait for wait in waits if wait >= QUEUED]
        held = tuple(holder.held(now) for holder in list(self.holders.values()))
        queued = [wall + done.at - done.held - done.waited for done in returned if done.waited >= QUEUED]
        return Snapshot(
            at=wall + now,
            max_size=self.pool.max_size if self.pool is not None else 0,
            held=held,
            in_use=max([len(held), *(in_use for _, _, in_use in timeouts)]),
            waiting=len(waits),
            timeouts=len(timeouts),
            lost=len(lost),
            troubled_since=min(
                *(wall + since for _, since, _ in timeouts),
                *(wall + at for at in lost),
                *queued,
                wall + now - max(waits, default=0.0),
                wall + now,
            ),
            returned=len(returned),
            queued=len(queued),
        )


@failsafe("pool")  # beyond this call the connection is out: a fault here would lose it
def _waited(alias: str, seconds: float, outcome: str, observation: Observation | None, error: Exception | None) -> None:
    _wait_histogram(outcome, alias).observe(seconds)
    if observation is not None:
        observation.db_wait_ms += seconds * 1000
    traces.traced_acquire(seconds, error)


@cache
def _wait_histogram(outcome: str, alias: str) -> Any:
    return catalogue.of_database(catalogue.db_pool_wait, alias, outcome)


def _drained(entries: deque[Any]) -> list[Any]:
    drained = []
    while entries:
        drained.append(entries.popleft())
    return drained


_registries = {DEFAULT_DB_ALIAS: Registry()}
_lock = threading.Lock()


def registry(alias: str = DEFAULT_DB_ALIAS) -> Registry:
    """The registry of a database alias; the same object each time."""
    with _lock:
        return _registries.setdefault(alias, Registry(alias))


def registries() -> dict[str, Registry]:
    """The registry of each alias that this process has used, by alias, that of the default one first."""
    with _lock:
        return {alias: one for alias, one in _registries.items() if one.used or alias == DEFAULT_DB_ALIAS}


def _forget() -> None:
    """A forked child holds none of its parent's connections."""
    global _lock
    _lock = threading.Lock()
    for one in _registries.values():
        one.__init__(one.alias)  # type: ignore[misc]  # in place: backends and the sampler keep their reference


os.register_at_fork(after_in_child=_forget)
