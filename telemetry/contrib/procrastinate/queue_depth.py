"""How far the background work is behind: measured by the worker itself, in a thread that may wait for the database."""

import threading
from collections.abc import Iterable

import psycopg

from telemetry.metrics import catalogue
from telemetry.observe import probe, queueing

INTERVAL = 5.0
"""Seconds."""
_DUE = """
    SELECT count(*), coalesce(extract(epoch FROM now() - min(coalesce(job.scheduled_at, deferred.at))), 0)
    FROM procrastinate_jobs job
    LEFT JOIN procrastinate_events deferred ON deferred.job_id = job.id AND deferred.type = 'deferred'
    WHERE job.status = 'todo' AND (job.scheduled_at IS NULL OR job.scheduled_at <= now())
"""


def due() -> tuple[int, float]:
    """How many tasks should have begun, and for how long (s) the first of them has waited."""
    # Beside the pool, all of which tasks may hold while they wait for somebody.
    with probe.connect("default", "backlog", INTERVAL) as connection:
        found = connection.execute(_DUE).fetchone()
    waiting, oldest = found or (0, 0.0)
    return int(waiting), max(float(oldest), 0.0)


class QueueDepthMeter(threading.Thread):
    """Daemon, so that it never holds up an exit. `tasks`: names that are counted from 0 on."""

    def __init__(self, tasks: Iterable[str] = ()) -> None:
        super().__init__(name="telemetry-backlog", daemon=True)
        self._stopping = threading.Event()
        for task in tasks:
            for outcome in ("ok", "failed"):
                catalogue.tasks_finished.labels(task, outcome)

    def run(self) -> None:
        while True:
            try:
                waiting, oldest = due()
                catalogue.tasks_waiting.set(waiting)
                catalogue.tasks_oldest.set(oldest)
                queueing.report_backlog(waiting, oldest)
            except psycopg.Error:  # the diagnosis reports the database; here the figures just grow old
                catalogue.telemetry_dropped.labels("backlog", "database").inc()
            if self._stopping.wait(INTERVAL):
                return

    def stop(self) -> None:
        self._stopping.set()
