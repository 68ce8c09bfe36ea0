"""One formatter for every log record of a process: telemetry's, Django's, the server's, libraries', the host's own.

What the host has set up stays: its loggers, handlers and filters get their records as before. Ours is one handler more
on the root logger. What would say again what a canonical line (`request_finished`, `task_finished`) says is left out.
"""

import logging
import sys
import threading
from types import TracebackType

import structlog
from structlog.typing import Processor

from telemetry import errors, logger
from telemetry.conf import conf
from telemetry.logger import Output
from telemetry.logs import libraries, lines, otlp
from telemetry.logs.handler import LineHandler

_QUIET = {"httpx": logging.WARNING, "urllib3": logging.WARNING, "django.server": logging.WARNING}
"""Loggers that tell of each request; of the web server's own, `request_finished` does."""


def install(*, keep_root_level: bool = False) -> None:
    """Set up, or set up again after settings have changed. `keep_root_level`: the host has chosen one."""
    as_json = conf.log_format == "json"
    lines.introduce()
    begun: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    own: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        errors.processor,
        lines.add_context,
        lines.format_exception,
        otlp.processor,
    ]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    rendering: list[Processor] = (
        [lines.complete, structlog.processors.JSONRenderer(serializer=lines.to_json)]
        if as_json
        else [lines.show_message, lines.show_control_characters, console]
    )
    handler = LineHandler()
    handler.addFilter(DuplicateEventFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*begun, *own[:2], lines.translate, *own[2:]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            keep_exc_info=False,
            use_get_message=False,  # the template and its arguments apart: see lines.translate
            pass_foreign_args=True,
        )
    )
    _hang_in(handler, keep_root_level)
    logger.processors[:] = [lines.begin, *own, *rendering]
    Output.send = handler.send
    if not structlog.is_configured():
        structlog.configure(
            processors=logger.processors,
            logger_factory=lambda *names: Output(*names or (__name__,)),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )
    logging.captureWarnings(True)
    if as_json:
        sys.excepthook = _log_crash
        threading.excepthook = _log_thread_crash


def _hang_in(handler: LineHandler, keep_root_level: bool) -> None:
    root = logging.getLogger()
    for before in [each for each in root.handlers if isinstance(each, LineHandler)]:
        root.removeHandler(before)
    root.addHandler(handler)
    if not keep_root_level:
        root.setLevel(conf.log_level)
    logging.getLogger("telemetry").setLevel(conf.log_level)
    for name, level in _QUIET.items():
        quiet = logging.getLogger(name)
        if quiet.level == logging.NOTSET:
            quiet.setLevel(level)


class DuplicateEventFilter(logging.Filter):
    """Leaves out what another line already says."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "django.request":
            return False  # request_finished has the status, request_failed the stack
        if record.name.startswith("django.security"):  # what scanners do all day is nobody's error
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        library = libraries.of(record.name)
        return library is None or library.drop is None or not library.drop(record)


def _log_crash(kind: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, tb)
    else:
        logging.getLogger("telemetry").critical("process_crashed", exc_info=(kind, error, tb))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not issubclass(crash.exc_type, SystemExit):
        logging.getLogger("telemetry").error("thread_crashed", exc_info=crash.exc_value)
