"""The loggers of telemetry's own lines: apart from structlog's global configuration, which is the host's."""

import logging
from collections.abc import Callable
from typing import Any

import structlog
from structlog.typing import EventDict, Processor


def _plain(_logger: Any, _method: str, event: EventDict) -> str:
    """Until `telemetry.logs` is set up, a line goes to the standard library as text."""
    event.pop("exc_info", None)
    event.pop("sentry", None)
    return " ".join([str(event.pop("event", "")), *(f"{key}={value}" for key, value in event.items())])


processors: list[Processor] = [_plain]
"""What a line goes through; filled by `telemetry.logs`. One list for ever: a logger keeps the one it was made with."""


class Output:
    """Where the lines of one logger end: `send`, once that is set, else the standard library's logger of that name.

    Their level, and where they hang in the tree of loggers, is the standard library's in both cases.
    """

    __slots__ = ("_logger", "isEnabledFor", "name")
    send: Callable[[str], None] | None = None

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self.name, self.isEnabledFor = name, self._logger.isEnabledFor

    def info(self, line: str) -> None:
        if Output.send is not None:
            Output.send(line)
        else:
            self._logger.info("%s", line)

    debug = warning = error = exception = critical = info


def get_logger(name: str) -> Any:
    """A structlog logger (`log.info("event_name", key=value)`) of that name."""
    return structlog.wrap_logger(
        Output(name),
        processors=processors,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
