"""Background tasks, watched: who deferred a job travels with it, and its run is one observation.

A job's arguments gain one key, `_telemetry`, with the request id and the `traceparent` of whoever deferred it; the
worker takes it out before the task sees its arguments. So neither a task nor its caller knows. Installed by one
setting of procrastinate: PROCRASTINATE_ON_APP_READY = "telemetry.contrib.procrastinate.jobs.install".
"""

import time
from collections.abc import Callable
from typing import Any, cast

from procrastinate import App, JobContext, types
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

from telemetry import errors, traces
from telemetry.conf import conf
from telemetry.context import Observation, current, new_request_id, observing
from telemetry.contrib.procrastinate import punctuality, records, retention
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.observe import work

KEY = "_telemetry"
log = get_logger("telemetry.contrib.procrastinate.jobs")


class CarryingJobManager(JobManager):
    """Writes down who deferred each job."""

    def batch_defer_jobs(self, jobs: list[Job], connection: Any = None) -> list[Job]:
        return super().batch_defer_jobs(_carrying(jobs), connection)

    async def batch_defer_jobs_async(self, jobs: list[Job], connection: Any = None) -> list[Job]:
        return await super().batch_defer_jobs_async(_carrying(jobs), connection)


def _carrying(jobs: list[Job]) -> list[Job]:
    carrier = _carrier()
    return [job.evolve(task_kwargs={**job.task_kwargs, KEY: carrier}) for job in jobs] if carrier else jobs


def install(app: App) -> None:
    """Make every job deferred through `app` carry its origin, and every worker observe what it runs."""
    # Beside what is there: procrastinate's own give back the database connection after each task.
    records.register()
    retention.install(app)
    punctuality.install(app)
    cleaning = app.worker_defaults.get("task_middleware") or []
    if conf.enabled:
        app.job_manager = CarryingJobManager(app.connector)
        app.worker_defaults["task_middleware"] = [*cleaning, observe]
    else:
        app.worker_defaults["task_middleware"] = [*cleaning, ignore]


def _carrier() -> types.JSONDict:
    observation = current()
    return {"request_id": observation.request_id, **traces.carrier()} if observation else {}


def ignore(call_next: Callable[[], Any], context: JobContext, _worker: Worker) -> Any:
    """With telemetry off, jobs that were deferred with it on still run."""
    context.job.task_kwargs.pop(KEY, None)
    return call_next()


def observe(call_next: Callable[[], Any], context: JobContext, _worker: Worker) -> Any:
    """Run a task as one observation: span, metrics, one `task_finished` line, errors captured. Procrastinate's hook."""
    carrier = cast(dict[str, str], context.job.task_kwargs.pop(KEY, None) or {})
    name = context.job.task_name
    observation = Observation(carrier.get("request_id") or new_request_id(), route=name, kind="task")
    outcome = "failed"
    with observing(observation), traces.task(observation, carrier, "procrastinate"):
        started = time.perf_counter()
        failure = ""
        work.begin(observation)
        try:
            result = call_next()
            outcome = "ok"
            return result
        except Exception as error:
            errors.capture(error)
            failure = work.failure(error, 0)
            log.error("task_failed", task=name, job_id=context.job.id, exc_info=error)
            raise
        finally:
            seconds = time.perf_counter() - started
            work.ledger.finished(observation, failure)
            catalogue.tasks_finished.labels(name, outcome).inc()
            catalogue.task_duration.labels(name).observe(seconds)
            log.info(
                "task_finished",
                task=name,
                job_id=context.job.id,
                attempt=context.job.attempts + 1,
                outcome=outcome,
                duration_ms=round(seconds * 1000, 1),
                db_queries=observation.db_queries,
                db_ms=round(observation.db_ms, 1),
            )
