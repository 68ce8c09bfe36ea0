"""One thread per process that samples every second: gauges, the look for the diagnosis, the background checks."""

import os
import threading
import time
from typing import TYPE_CHECKING

import psutil

from telemetry import context, errors, health
from telemetry.conf import conf
from telemetry.diagnosis import incidents
from telemetry.diagnosis.model import Incident, Look
from telemetry.diagnosis.sentence import summary
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.observe.pool import registry
from telemetry.observe.queries import label_of
from telemetry.observe.snapshot import Snapshot
from telemetry.serve.looks import Observer

if TYPE_CHECKING:
    from prometheus_client import Gauge

INTERVAL = 1.0
"""Seconds."""
_APART = frozenset(context.PROBES + context.BEACONS)
"""Requests that take none of WEB_THREADS."""

_CAUSES = {
    "query": "slow_query",
    "lock": "slow_query",
    "commit": "slow_query",
    "every query": "slow_database",
    "idle in a transaction": "idle_in_transaction",
    "without running a query": "idle",
    "by ended work": "leaked",
    "requests": "surge",
    "cpu": "long_work",
    "other": "long_work",
    "http": "long_work",
    "mail": "long_work",
}
"""Causes and components in the words of `db_incident_started_timestamp_seconds`."""

log = get_logger(__name__)


class Sampler(threading.Thread):
    """Daemon, so that it never holds up an exit; a fault in one look is counted and the next one goes on."""

    def __init__(self, process: str, threads: int) -> None:
        super().__init__(name="telemetry-sampler", daemon=True)
        self._process = process
        self._threads = threads
        self._stopping = threading.Event()
        self._observer = Observer(process)
        self._board = incidents.board()
        self._leader = incidents.Leader(self._board)
        self._resources = psutil.Process()
        self._queries: set[str] = set()
        self._lock_waits: set[tuple[str, str]] = set()
        self._shown: dict[str, list[Gauge]] = {}
        self._failing = False

    def run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            try:
                self._look()
                self._failing = False
            except Exception:
                catalogue.telemetry_dropped.labels("sampler", "error").inc()
                if not self._failing:  # once, not every second
                    log.exception("sampler_failed")
                self._failing = True
            due = max(due + INTERVAL, time.monotonic())

    def stop(self) -> None:
        """End after the current look; returns within a second."""
        self._stopping.set()
        self.join(1.0)
        self._board.withdraw(os.getpid())

    def _look(self) -> None:
        snapshot = registry().snapshot()
        self._pool(snapshot)
        self._in_flight(snapshot)
        self._process_itself()
        health.refresh()
        look = self._observer.look(snapshot)
        self._board.publish(look)
        self._leader.step(look.at)
        self._waits_for_locks(look)
        self._show(self._board.incidents())

    def _show(self, open_incidents: list[Incident]) -> None:
        """Project the incidents of the host into this process's metrics and, from one of them, to the error tracker."""
        now = {incident.id: incident for incident in open_incidents}
        for id_ in self._shown.keys() - now.keys():
            for gauge in self._shown.pop(id_):
                gauge.set(0)
        for id_ in now.keys() - self._shown.keys():
            incident = now[id_]
            self._shown[id_] = self._gauges(incident)
            for gauge in self._shown[id_]:
                gauge.set(incident.started_at)
            if errors.reporting() and self._board.claim(f"reported-{id_}"):
                errors.incident(incident.sentence, kind=incident.symptom.name, culprit=":".join(incident.cause.key))

    def _gauges(self, incident: Incident) -> list["Gauge"]:
        symptom, cause = incident.symptom, incident.cause
        route = cause.route or symptom.route
        gauges = [
            catalogue.incident_started.labels(symptom.name, cause.kind, cause.component, route, summary(symptom, cause))
        ]
        if symptom.name in ("pool_exhausted", "database_down"):
            query = label_of(cause.component) if cause.kind in ("query", "lock", "commit") else ""
            why = _CAUSES.get(cause.component) or _CAUSES.get(cause.kind, cause.component)
            gauges.append(catalogue.db_incident_started.labels(symptom.name, why, query, route))
        return gauges

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

    def _waits_for_locks(self, look: Look) -> None:
        found: dict[tuple[str, str], float] = {}
        for lock in look.locks:
            running = (now for route in look.routes.values() for now in route.now.items())
            ages = [now.oldest for activity, now in running if activity.name == lock.query]
            by = f"{lock.holder} that idles in its transaction" if lock.idle else lock.holder
            found[label_of(lock.query), by] = max(ages, default=0.0)
        for labels in self._lock_waits - found.keys():
            catalogue.db_lock_waited.labels(*labels).set(0)
        for labels, age in found.items():
            catalogue.db_lock_waited.labels(*labels).set(age)
        self._lock_waits |= found.keys()

    def _process_itself(self) -> None:
        catalogue.process_resident_memory.labels(self._process).set(self._resources.memory_info().rss)
        used = os.times()
        catalogue.process_seen.labels(self._process).set(time.time())
        catalogue.process_cpu.labels(self._process).set(used.user + used.system)
        if self._process == "web":
            requests = (each.route for each in list(context.in_flight.values()) if each.kind == "request")
            catalogue.http_threads_busy.set(sum(route not in _APART for route in requests))
            catalogue.http_threads_total.set(conf.web_threads or self._threads)


_sampler: Sampler | None = None


def start(process: str, threads: int) -> None:
    """Begin to look around in this process ("web", "worker"). Call it after fork; nothing happens the second time."""
    global _sampler
    if conf.enabled and (_sampler is None or not _sampler.is_alive()):
        _sampler = Sampler(process, threads)
        _sampler.start()


def stop() -> None:
    """End the thread, if there is one."""
    global _sampler
    sampler, _sampler = _sampler, None
    if sampler is not None:
        sampler.stop()
