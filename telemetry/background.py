"""Background tasks of any queue, observed. Its adapter is two calls, where a task is sent and where it runs:

    with background.sending("shop.ship", system="celery") as headers:   # they travel with the task
        send(headers)
    with background.running("shop.ship", headers, system="celery", job_id=7):
        ship()

The task then has the request id and the trace of who sent it, a line, metrics and a span, and is part of the diagnosis.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from telemetry import errors, traces
from telemetry.conf import conf
from telemetry.context import Observation, current, new_request_id, observing
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.metrics.containment import failsafe
from telemetry.observe import work

log = get_logger("telemetry.background")
_before: list[Callable[[], object]] = []


def before_each(start: Callable[[], object]) -> None:
    """Have `start` called before each run: what begins with a process's first work."""
    _before[:] = [start]


def carrier() -> dict[str, str]:
    """Who sends a task now: `request_id` and `traceparent`, where there are any. Hand it to `running`."""
    observation = current()
    return {"request_id": observation.request_id, **traces.carrier()} if observation else {}


@contextmanager
def sending(name: str, *, system: str, queue: str = "", tasks: int = 1) -> Iterator[dict[str, str]]:
    """Observe the block as the sending of `tasks` runs of a task; yields their `carrier`, below a span of its own."""
    if current() is None:
        yield {}
        return
    about = _messaging(system, "send", queue)
    if tasks > 1:
        about["messaging.batch.message_count"] = tasks
    with traces.span(f"send {name}", kind="producer", attributes=about):
        yield carrier()


def _messaging(system: str, operation: str, queue: str) -> dict[str, str | int]:
    """OpenTelemetry's messaging conventions."""
    about: dict[str, str | int] = {
        "messaging.system": system,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    return {**about, "messaging.destination.name": queue} if queue else about


@contextmanager
def running(
    name: str,
    carrier: Mapping[str, str],
    *,
    system: str,
    queue: str = "",
    job_id: str | int | None = None,
    attempt: int = 1,
    schedule: str = "",
) -> Iterator[None]:
    """Observe the block as one run of a task, in the thread that runs it: span, metrics, one `task_finished` line.

    `name` is one of a bounded number, `system` that of the software, `queue` of the queue in it, `schedule` of a
    periodic task as in a crontab. An exception is logged, reported and passed on.
    """
    if not conf.enabled:
        yield
        return
    for start in _before:
        start()
    observation = Observation(carrier.get("request_id") or new_request_id(), route=name, kind="task")
    failure, outcome = "", "ok"
    job = {**_messaging(system, "process", queue), f"messaging.{system}.attempt": attempt}
    if job_id is not None:
        job["messaging.message.id"] = str(job_id)
    with observing(observation), traces.task(observation, carrier, job), errors.checking_in(name, schedule):
        work.begin(observation)
        try:
            yield
        except BaseException as error:
            outcome = "failed"
            if isinstance(error, Exception):
                errors.capture(error, handled=False)
                failure = work.failure(error, 0)
                log.error("task_failed", task=name, job_id=job_id, exc_info=error)
            raise
        finally:
            _finished(observation, failure, outcome, job_id, attempt)


@failsafe("tasks")
def _finished(observation: Observation, failure: str, outcome: str, job_id: str | int | None, attempt: int) -> None:
    seconds, name = perf_counter() - observation.started, observation.route
    traces.decide(observation, seconds, outcome == "failed")
    work.ledger.finished(observation, failure)
    catalogue.tasks_finished.labels(name, outcome).inc()
    catalogue.task_duration.labels(name).observe(seconds)
    log.info(
        "task_finished",
        task=name,
        job_id=job_id,
        attempt=attempt,
        outcome=outcome,
        duration_ms=round(seconds * 1000, 1),
        db_queries=observation.db_queries,
        db_ms=round(observation.db_ms, 1),
    )
