"""Errors: each reported to Sentry exactly once, in a form that holds nothing personal.

On when `SENTRY_DSN` is set; otherwise a null object stands in and the SDK is not imported. Unhandled exceptions of
views come from the middleware, those of tasks from the task queue's adapter, `error`-level log lines from `processor`,
and errors that code turns into a response from its call of `capture` before it does.
"""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from structlog.typing import EventDict

from telemetry.conf import SWITCH, Kind, number, refused
from telemetry.context import current, new_request_id
from telemetry.errors import breadcrumbs
from telemetry.errors.browser_events import BrowserError
from telemetry.errors.sessions import Outcome
from telemetry.sink import Sink

_SILENT = ("sentry_sdk", "opentelemetry", "urllib3", "requests")
"""Loggers of what carries the reports: their troubles are counted, and would otherwise feed on themselves."""

_CANONICAL = ("request_finished", "task_finished")
"""Lines that sum up work; what went wrong in it has been reported by itself."""

_NAME = re.compile(r"[\w.:-]{1,100}", re.ASCII)
_LEVELS = {"exception": "error", "warn": "warning", "critical": "fatal"}
"""The words of Sentry's protocol, where it has others."""

_REPORTED = "_telemetry_reported"


class Errors:
    """An error tracker that does nothing: what stands in while reporting is off, and the shape of one that does.

    See the functions of this module for the meaning.
    """

    def capture(self, error: BaseException, handled: bool, request: Any) -> None: ...
    def message(self, event: str, logger: str, level: str, values: EventDict) -> None: ...
    def incident(self, sentence: str, kind: str, culprit: str, id_: str) -> None: ...
    def browser(self, error: BrowserError) -> None: ...
    def session(self, outcome: Outcome) -> None: ...
    def check_in(self, id_: str, task: str, schedule: str, outcome: str, seconds: float | None) -> None: ...
    def stop(self, timeout: float) -> None: ...


_sink = Sink(Errors())
use, stop = _sink.use, _sink.stop

_ENVIRONMENT = re.compile(r"[^\s/]{1,64}")
_SHARE = number(0, 1)


def _environment(name: str) -> None:
    if not _ENVIRONMENT.fullmatch(name):
        raise ValueError(name)


_VALUES: dict[str, Kind[Any]] = {
    "SENTRY_DEBUG": SWITCH,
    "SENTRY_ENVIRONMENT": Kind("at most 64 characters without spaces and slashes", _environment),
    "SENTRY_KEEP_ALIVE": SWITCH,
    "SENTRY_SAMPLE_RATE": _SHARE,
    "SENTRY_TRACES_SAMPLE_RATE": _SHARE,
}


def wanted() -> bool:
    """Whether SENTRY_DSN is set and nothing reports yet."""
    return bool(os.environ.get("SENTRY_DSN")) and not _sink.on


def faults() -> Iterator[str]:
    """What Sentry's library or its server would refuse, a sentence each; nothing while nothing is configured."""
    if not (dsn := os.environ.get("SENTRY_DSN")):
        return
    if find_spec("sentry_sdk") is None:
        yield "SENTRY_DSN is set, but sentry-sdk is not installed (the extra `sentry`)."
        return
    from sentry_sdk.utils import Dsn

    try:
        Dsn(dsn)
    except Exception:  # of what it says a part may be the key
        yield "SENTRY_DSN is not of the form https://key@host/project."
    yield from refused(_VALUES)


def reporting() -> bool:
    """Whether anything is reported."""
    return _sink.on


def capture(error: BaseException, *, handled: bool = True, request: Any = None) -> None:
    """Report an exception, unless it has been already. Call it before turning one into a response. Never raises."""
    if getattr(error, _REPORTED, False):
        return
    with suppress(AttributeError):  # an exception with slots: it may be reported twice, which is better than never
        setattr(error, _REPORTED, True)
    observation = current()
    if observation is not None:
        observation.error = error
    _sink.active.capture(error, handled, request)


def step(category: str, name: str, level: str = "info") -> None:
    """Note what the current request or task does, for the report if it fails. `name` is a bounded one and no data."""
    if _sink.on and (observation := current()) is not None:
        breadcrumbs.leave(observation, category, name, level)


def session(outcome: Outcome) -> None:
    """Count a request for the health of the release."""
    _sink.active.session(outcome)


@contextmanager
def checking_in(task: str, schedule: str) -> Iterator[None]:
    """Report the block as one run of a periodic task: that it began, and how it ended. `schedule`: as in a crontab.

    Without a schedule nothing is reported.
    """
    if not (schedule and _sink.on):
        yield
        return
    id_, began, outcome = new_request_id(), time.monotonic(), "error"
    _sink.active.check_in(id_, task, schedule, "in_progress", None)
    try:
        yield
        outcome = "ok"
    finally:
        _sink.active.check_in(id_, task, schedule, outcome, time.monotonic() - began)


def incident(sentence: str, *, kind: str, culprit: str, id_: str) -> None:
    """Report an incident: one issue per `kind` and `culprit`, titled with `sentence`. Never raises.

    `id_` is the incident's own, by which `telemetry.errors.issues` finds the issue when it is over.
    """
    _sink.active.incident(sentence, kind, culprit, id_)


def browser(error: BrowserError) -> None:
    """Report an error that a browser sent. Never raises."""
    _sink.active.browser(error)


def processor(logger: Any, method: str, values: EventDict) -> EventDict:
    """A structlog processor, for before rendering: `error` and `critical` lines are reported, and passed on as is.

    A line about an exception reports the exception, unless that has been. Of a line of the standard library's loggers
    the template is kept and never what was put into it; Django's own lines about a response are left to the request's
    observation, and a line that says `sentry=False` to whoever wrote it (the key is removed).
    """
    wanted = values.pop("sentry", True)
    record = values.get("_record")
    name = record.name if record is not None else str(values.get("logger") or getattr(logger, "name", "") or "")
    if _sink.on and values.get("event") not in _CANONICAL:
        step("log", _event_of(values, f"a line of {name}"), _LEVELS.get(method, method))
    if not wanted or method not in ("error", "exception", "critical", "fatal") or not _sink.on:
        return values
    if name.startswith(_SILENT):
        return values
    info = values.get("exc_info") or (record.exc_info if record is not None else None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        capture(error)
    elif name != "django.request" and values.get("event") not in _CANONICAL:
        level = "fatal" if method in ("critical", "fatal") else "error"
        said = str(values.get("event", "")) if record is None else _event_of(values, f"{name} reported an error")
        _sink.active.message(said, name, level, values)
    return values


def _event_of(values: EventDict, otherwise: str) -> str:
    """What a line is about, in words that nothing was put into: a library's template, an event's name."""
    record = values.get("_record")
    if record is not None:
        filled_in = record.args or values.get("positional_args")  # where structlog's formatter keeps them
        return record.msg if filled_in and isinstance(record.msg, str) else otherwise
    event = str(values.get("event", ""))
    return event if _NAME.fullmatch(event) else otherwise
