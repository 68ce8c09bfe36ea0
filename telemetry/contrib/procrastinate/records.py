"""How the records of procrastinate are logged."""

import logging

from structlog.typing import EventDict

from telemetry.logs import libraries

_SAID_ELSEWHERE = frozenset({"start_job", "job_success", "job_error", "job_error_retry"})
"""Actions that the `task_finished` and `task_failed` lines report."""


def register() -> None:
    """From now on, in this process."""
    libraries.register(libraries.Library("procrastinate", _speaks_of_processes, _is_duplicate, _translate))


def _speaks_of_processes(record: logging.LogRecord) -> bool:
    return not hasattr(record, "action")


def _is_duplicate(record: logging.LogRecord) -> bool:
    return getattr(record, "action", "") in _SAID_ELSEWHERE


def _translate(record: logging.LogRecord, event: EventDict) -> None:
    """The action is the event; of the jobs their names and ids alone, for arguments may be personal."""
    action = getattr(record, "action", None)
    if not action:
        return
    event["event"] = action
    jobs = getattr(record, "jobs", None) or [getattr(record, "job", None)]
    if known := [job for job in jobs if job]:
        event["tasks"] = [job.get("task_name") for job in known]
        event["job_ids"] = [job.get("id") for job in known]
