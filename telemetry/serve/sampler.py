"""One thread per process that looks around every second: gauges, the watchdog, the background health checks."""

import threading
import time

import psutil
import structlog

from telemetry import context, health
from telemetry.conf import conf
from telemetry.diagnosis import locks
from telemetry.diagnosis.watchdog import Watchdog
from telemetry.metrics import catalogue
from telemetry.observe.pool import registry
from telemetry.observe.queries import label_of
from telemetry.observe.snapshot import Snapshot

INTERVAL = 1.0
"""Seconds."""
STUCK = 2.0
"""Seconds a query runs before the database is asked whether it waits for a lock."""

_APART = frozenset(context.PROBES + context.BEACONS)
"""Requests that take none of WEB_THREADS."""

log = structlog.get_logger(__name__)


class Sampler(threading.Thread):
    """Daemon, so that it never holds up an exit; a fault in one look is counted and the next one goes on."""

    def __init__(self, process: str) -> None:
        super().__init__(name="telemetry-sampler", daemon=True)
        self._process = process
        self._stopping = threading.Event()
        self._watchdog = Watchdog()
        self._resources = psutil.Process()
        self._queries: set[str] = set()
        self._lock_waits: set[tuple[str, str]] = set()
        self._failing = False

    def run(self) -> None:
        last = due = time.monotonic()
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            now = time.monotonic()
            try:
                self._look(now - last)
                self._failing = False
            except Exception:
                catalogue.telemetry_dropped.labels("sampler", "error").inc()
                if not self._failing:  # once, not every second
                    log.exception("sampler_failed")
                self._failing = True
            last, due = now, max(due + INTERVAL, time.monotonic())

    def stop(self) -> None:
        """End after the current look; returns within a second."""
        self._stopping.set()
        self.join(1.0)

    def _look(self, window: float) -> None:
        snapshot = registry().snapshot(window)
        self._pool(snapshot)
        self._in_flight(snapshot)
        self._process_itself()
        self._watchdog.look(snapshot)
        self._waits_for_locks(snapshot)
        health.refresh()

    def _pool(self, snapshot: Snapshot) -> None:
        pool = registry().pool
        idle = pool.get_stats().get("pool_available", 0) if pool is not None else 0
        active = len(snapshot.held)
        catalogue.db_pool_max_size.set(snapshot.max_size)
        catalogue.db_pool_size.set(active + idle)
        catalogue.db_connections_active.set(active)
        catalogue.db_connections_idle.set(idle)
        catalogue.db_pool_requests_waiting.set(snapshot.waiting)

    def _in_flight(self, snapshot: Snapshot) -> None:
        ages: dict[str, list[float]] = {}
        for holder in snapshot.held:
            if holder.state == "query":
                ages.setdefault(label_of(holder.query), []).append(holder.age)
        for name in self._queries - ages.keys():
            catalogue.db_queries_in_flight.labels(name).set(0)
            catalogue.db_query_oldest.labels(name).set(0)
        for name, running in ages.items():
            catalogue.db_queries_in_flight.labels(name).set(len(running))
            catalogue.db_query_oldest.labels(name).set(max(running))
        self._queries |= ages.keys()

    def _waits_for_locks(self, snapshot: Snapshot) -> None:
        stuck = [each for each in snapshot.held if each.state == "query" and each.age >= STUCK and each.backend_pid]
        found: dict[tuple[str, str], float] = {}
        if stuck:
            oldest = max(stuck, key=lambda each: each.age)
            by = locks.holder((oldest.backend_pid or 0,), snapshot.held, query=oldest.query)
            if by:
                found[label_of(oldest.query), by] = oldest.age
        for labels in self._lock_waits - found.keys():
            catalogue.db_lock_waited.labels(*labels).set(0)
        for labels, age in found.items():
            catalogue.db_lock_waited.labels(*labels).set(age)
        self._lock_waits |= found.keys()

    def _process_itself(self) -> None:
        with self._resources.oneshot():
            used = self._resources.cpu_times()
            catalogue.process_resident_memory.labels(self._process).set(self._resources.memory_info().rss)
        catalogue.process_seen.labels(self._process).set(time.time())
        catalogue.process_cpu.labels(self._process).set(used.user + used.system)
        if self._process == "web":
            requests = (each.route for each in list(context.in_flight.values()) if each.kind == "request")
            catalogue.http_threads_busy.set(sum(route not in _APART for route in requests))
            catalogue.http_threads_total.set(conf.web_threads)


_sampler: Sampler | None = None


def start(process: str) -> None:
    """Begin to look around in this process ("web", "worker"). Call it after fork; nothing happens the second time."""
    global _sampler
    if conf.enabled and (_sampler is None or not _sampler.is_alive()):
        _sampler = Sampler(process)
        _sampler.start()


def stop() -> None:
    """End the thread, if there is one."""
    global _sampler
    sampler, _sampler = _sampler, None
    if sampler is not None:
        sampler.stop()
