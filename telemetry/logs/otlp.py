"""Log lines to an OpenTelemetry collector as well, where OTEL_LOGS_EXPORTER or an endpoint for logs asks for them.

What leaves is the line as it is written: redacted, with its event's name and fields. Otherwise a null object stands in,
and the SDK is not imported.
"""

import os
from collections.abc import Iterator
from typing import Any

from structlog.typing import EventDict

from telemetry.sink import Sink

_SILENT = ("opentelemetry", "urllib3", "requests")
"""Loggers of what carries the lines, which would otherwise feed on themselves."""


class Records:
    """What takes no lines, and the shape of what does."""

    def emit(self, event: EventDict) -> None: ...
    def stop(self, timeout: float) -> None: ...


_sink = Sink(Records())
use, stop = _sink.use, _sink.stop


def wanted() -> bool:
    """Whether lines are to be exported and are not yet."""
    return configured() and not _sink.on


def configured() -> bool:
    """Whether OTEL_LOGS_EXPORTER or an endpoint for logs is set: one for all signals does not ask for logs."""
    asked = os.environ.get("OTEL_LOGS_EXPORTER", "").strip()
    to = os.environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "").strip()
    return bool(asked or to) and asked != "none" and os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


def faults() -> Iterator[str]:
    """What OpenTelemetry's libraries refuse of the variables for logs, a sentence each."""
    if configured():
        from telemetry.traces import configuration  # not in the parent of a server's workers, which counts nothing

        configuration.unset_empty()
        yield from configuration.faults(configuration.LOGS)


def processor(logger: Any, _method: str, event: EventDict) -> EventDict:
    """Structlog's: hands the line on as it is, to nobody while lines are not exported."""
    if _sink.on and not str(event.get("logger") or "").startswith(_SILENT):
        _sink.active.emit(event)
    return event
