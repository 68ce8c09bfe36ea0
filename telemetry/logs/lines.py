"""From an event or a library's record to a line, a processor each.

Event names are static and the fields are identifiers. Of a library's message the template is kept, redacted, and never
what was put into it, unless `logs.libraries` says that the library speaks of processes and not of people.
"""

import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict

from telemetry import identity, redaction
from telemetry.conf import here
from telemetry.context import current, pid
from telemetry.logger import Output
from telemetry.logs import libraries

_STANDARD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
"""What every record of the standard library has."""
_LEVELS = {"exception": "error", "warn": "warning", "fatal": "critical"}
_about: dict[str, str] = {}
MAX_FRAMES, MAX_CAUSES = 30, 5
_OUR_PATHS = re.compile(rf"^.*/site-packages/|^.*/lib/python3\.\d+/|^{re.escape(str(here()))}/")

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Of ASCII and beyond, with what separates lines and turns the direction of writing; not tab and line feed."""
_CONTROL_AND_BREAKS = re.compile(f"{_CONTROL.pattern}|[\t\n]")


def begin(logger: Output, method: str, event: EventDict) -> EventDict:
    """Whose line it is, its level and when: for our own lines, in one step. One whose level is not wanted ends here."""
    level = _LEVELS.get(method, method)
    if not logger.isEnabledFor(structlog.stdlib.NAME_TO_LEVEL[level]):  # type: ignore[attr-defined]  # in its documentation
        raise structlog.DropEvent
    event["logger"], event["level"] = logger.name, level
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return event


def to_json(event: EventDict, **_options: Any) -> str:
    line = orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    # It escapes what JSON must; a terminal obeys more than that.
    return line if line.isascii() and "\x7f" not in line else _CONTROL.sub(_escaped, line)


def introduce(service: str = "") -> None:
    """Say on each line from now on who speaks: `service`, its version and environment."""
    _about.update(identity.attributes(service))


def complete(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Each line says who speaks, and has a `message` for people: the event's name where nobody wrote one."""
    event.setdefault("message", event["event"])
    event.update(_about)
    return event


def show_message(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """On a terminal a library's message stands in place of its template."""
    if "%" in str(event["event"]):
        event["event"] = event.pop("message", event["event"])
    return event


def show_control_characters(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """For a terminal, which would obey them, and to which a line break is another line. Stacks keep theirs."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = (_CONTROL if name == "exception" else _CONTROL_AND_BREAKS).sub(_escaped, value)
    return event


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def add_context(_logger: Any, _method: str, event: EventDict) -> EventDict:
    observation = current()
    if observation is not None:
        event.setdefault("request_id", observation.request_id)
        if observation.trace_id:
            event["trace_id"], event["span_id"] = observation.trace_id, observation.span_id
            event["trace_sampled"] = observation.sampled
    event["pid"] = pid()
    return event


def format_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    error = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error_type"] = type(error).__name__
        event["exception"] = _stack(error)
    return event


def _stack(error: BaseException) -> str:
    """The stack of an exception and of what it came from, cause first; of each text only what is safe to log."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None and len(parts) < MAX_CAUSES:
        frames = "".join(_frames(link)[-MAX_FRAMES:])
        said = _CONTROL_AND_BREAKS.sub(_escaped, redaction.message(link))  # no line of it poses as another
        parts.append(f"Traceback (most recent call last):\n{frames}{type(link).__qualname__}: {said}".rstrip(": "))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nwhich led to:\n\n".join(reversed(parts))


def _frames(error: BaseException) -> list[str]:
    """Oldest first, with short file names and without the carets under each line."""
    called = traceback.extract_tb(error.__traceback__)
    return traceback.StackSummary.from_list(
        [(_OUR_PATHS.sub("", frame.filename), frame.lineno or 0, frame.name, frame.line) for frame in called]
    ).format()


def translate(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A library's record: a static name where its message would hold what a client sent, else the message redacted."""
    record: logging.LogRecord = event["_record"]
    arguments = event.pop("positional_args", ())
    if record.name.startswith("django.security"):
        event["event"], event["reason"] = "request_rejected", record.name.rpartition(".")[2]
        event["exc_info"] = None  # the client's mistake, not ours
        return event
    library = libraries.of(record.name)
    if library is not None and library.speaks_of_processes(record):
        event["event"] = str(record.msg) % arguments if arguments else str(record.msg)
    else:  # the template is the name of the event; what is put into it may be anything
        event["event"] = redaction.text(str(record.msg))
        if arguments:
            event["message"] = redaction.filled(str(record.msg), arguments)
    if library is not None and library.translate is not None:
        library.translate(record, event)
    else:
        _add_extra(record, event)
    if record.exc_info:
        event["exc_info"] = record.exc_info
    return event


def _add_extra(record: logging.LogRecord, event: EventDict) -> None:
    """What a caller gave as `extra`: numbers as they are, texts redacted; objects are left out."""
    for name, value in record.__dict__.items():
        if name in _STANDARD or name in event or name.startswith("_"):
            continue
        if isinstance(value, str):
            event[name] = redaction.text(value)
        elif value is None or isinstance(value, int | float):
            event[name] = value
