"""Background tasks, watched: who deferred a job travels with it, and its run is one observation.

A job's arguments gain one key, `_telemetry`, with the request id and the `traceparent` of whoever deferred it; the
worker takes it out before the task sees its arguments. So neither a task nor its caller knows. Installed by one
setting of procrastinate: PROCRASTINATE_ON_APP_READY = "telemetry.contrib.procrastinate.jobs.install".
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from procrastinate import App, JobContext, types
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

from telemetry import background
from telemetry.conf import conf
from telemetry.contrib.procrastinate import punctuality, records, retention

KEY = "_telemetry"


class CarryingJobManager(JobManager):
    """Writes down who deferred each job, and begins to watch the process of a worker."""

    def __init__(self, app: App) -> None:
        super().__init__(app.connector)
        self._tasks = app.tasks

    async def register_worker(self) -> int:
        from telemetry.contrib.procrastinate.queue_depth import QueueDepthMeter  # not in each command
        from telemetry.serve import lifecycle

        lifecycle.start(f"{conf.service_name}-worker", QueueDepthMeter(self._tasks))
        return await super().register_worker()

    def batch_defer_jobs(self, jobs: list[Job], connection: Any = None) -> list[Job]:
        with _sending(jobs) as sent:
            return super().batch_defer_jobs(sent, connection)

    async def batch_defer_jobs_async(self, jobs: list[Job], connection: Any = None) -> list[Job]:
        with _sending(jobs) as sent:
            return await super().batch_defer_jobs_async(sent, connection)


@contextmanager
def _sending(jobs: list[Job]) -> Iterator[list[Job]]:
    """The jobs as they are written down; all of them are of one task."""
    if not jobs:
        yield jobs
        return
    name, queue = jobs[0].task_name, jobs[0].queue
    with background.sending(name, system="procrastinate", queue=queue, tasks=len(jobs)) as carrier:
        said: types.JSONDict = {**carrier}
        yield [job.evolve(task_kwargs={**job.task_kwargs, KEY: said}) for job in jobs] if said else jobs


def install(app: App) -> None:
    """Make every job deferred through `app` carry its origin, and every worker observe what it runs."""
    # Beside what is there: procrastinate's own give back the database connection after each task.
    records.register()
    retention.install(app)
    punctuality.install(app)
    cleaning = app.worker_defaults.get("task_middleware") or []
    if conf.enabled:
        app.job_manager = CarryingJobManager(app)
        app.worker_defaults["task_middleware"] = [*cleaning, observe]
    else:
        app.worker_defaults["task_middleware"] = [*cleaning, ignore]


def ignore(call_next: Callable[[], Any], context: JobContext, _worker: Worker) -> Any:
    """With telemetry off, jobs that were deferred with it on still run."""
    context.job.task_kwargs.pop(KEY, None)
    return call_next()


def observe(call_next: Callable[[], Any], context: JobContext, _worker: Worker) -> Any:
    """Run a task as one observation: span, metrics, one `task_finished` line, errors captured. Procrastinate's hook."""
    carrier = cast(dict[str, str], context.job.task_kwargs.pop(KEY, None) or {})
    job = context.job
    with background.running(
        job.task_name,
        carrier,
        system="procrastinate",
        queue=job.queue,
        job_id=job.id,
        attempt=job.attempts + 1,
        schedule=_schedule(context),
    ):
        return call_next()


def _schedule(context: JobContext) -> str:
    """The crontab by which procrastinate deferred the job; "" where somebody else did."""
    if "timestamp" not in context.job.task_kwargs:
        return ""
    periodic = context.app.periodic_registry.periodic_tasks.values()
    return next((each.cron for each in periodic if each.task.name == context.job.task_name), "")
