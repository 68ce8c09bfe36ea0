"""What a look and the host's incidents become in one process: metrics, and issues of the error tracker."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from telemetry import errors
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.model import Incident, Look
from telemetry.diagnosis.runbook import runbook
from telemetry.diagnosis.sentence import summary
from telemetry.metrics import catalogue
from telemetry.observe.activity import RouteLook
from telemetry.observe.queries import label_of
from telemetry.observe.work import QUEUED
from telemetry.serve.resolver import issue_of

if TYPE_CHECKING:
    from prometheus_client import Gauge


class Projections:
    """Remembers which series it has set, so that those are 0 once nothing is behind them. Of one thread."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._queries: set[str] = set()
        self._lock_waits: set[tuple[str, str]] = set()
        self._shown: dict[str, Gauge] = {}

    def look(self, look: Look) -> None:
        """Set the gauges of this process, and count what its work spent."""
        count_work(look.routes)
        _process(look)
        _pools(look)
        self._in_flight(look)
        self._waits_for_locks(look)

    def incidents(self, open_incidents: list[Incident]) -> None:
        """Set the gauges of the host's incidents; one process of them all reports each to the error tracker."""
        now = {incident.id: incident for incident in open_incidents}
        for id_ in self._shown.keys() - now.keys():
            self._shown.pop(id_).set(0)
        for id_ in now.keys() - self._shown.keys():
            incident = now[id_]
            self._shown[id_] = _gauge(incident)
            self._shown[id_].set(incident.started_at)
            if errors.reporting() and self._board.claim(f"reported-{id_}"):
                kind, culprit = issue_of(incident)
                errors.incident(incident.sentence, kind=kind, culprit=culprit, id_=id_)

    def _in_flight(self, look: Look) -> None:
        for name in self._queries - look.queries.keys():
            catalogue.db_queries_in_flight.labels(name).set(0)
            catalogue.db_query_oldest.labels(name).set(0)
        for name, (number, oldest) in look.queries.items():
            catalogue.db_queries_in_flight.labels(name).set(number)
            catalogue.db_query_oldest.labels(name).set(oldest)
        self._queries |= look.queries.keys()

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


def count_work(routes: Mapping[str, RouteLook]) -> None:
    """Add what work spent since the look before; requests that still wait for a thread are counted when they end."""
    for name, route in routes.items():
        if name == QUEUED:
            continue
        sums: dict[str, list[float]] = {}
        for activity, (seconds, operations) in route.spent.items():
            on = sums.setdefault(activity.kind, [0.0, 0.0])
            on[0] += seconds
            on[1] += operations
        for kind, (seconds, operations) in sums.items():
            counted_seconds, counted_operations = _work(name, kind)
            counted_seconds.inc(max(seconds, 0.0))
            counted_operations.inc(max(operations, 0.0))


@cache  # of bounded routes and kinds
def _work(route: str, on: str) -> tuple[Any, Any]:
    return catalogue.work_seconds.labels(route, on), catalogue.work_operations.labels(route, on)


def _process(look: Look) -> None:
    if look.memory:
        catalogue.process_resident_memory.labels(look.process).set(look.memory)
    catalogue.process_seen.labels(look.process).set(look.at)
    catalogue.process_cpu.labels(look.process).set(look.cpu_seconds)
    if look.process == "web":
        catalogue.http_threads_busy.set(look.busy)
        catalogue.http_threads.set(look.threads)


def _pools(look: Look) -> None:
    for alias, pool in look.pools.items():
        for gauge, value in (
            (catalogue.db_pool_max_size, pool.size),
            (catalogue.db_pool_size, pool.active + pool.idle),
            (catalogue.db_connections_active, pool.active),
            (catalogue.db_connections_idle, pool.idle),
            (catalogue.db_pool_requests_waiting, pool.waiting),
        ):
            catalogue.of_database(gauge, alias).set(value)


def _gauge(incident: Incident) -> "Gauge":
    symptom, cause = incident.symptom, incident.cause
    route = cause.route or symptom.route
    said = summary(symptom, cause)
    return catalogue.incident_started.labels(symptom.name, cause.kind, cause.component, route, said, runbook(incident))
