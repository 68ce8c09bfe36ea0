"""Lines as records of OpenTelemetry's log data model, by the SDK's logger, batch processor and exporters.

Not by its LoggingHandler, which is deprecated and sends what was put into a message and the texts of exceptions.
"""

import re
import time
from datetime import datetime
from functools import lru_cache
from typing import Any

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from structlog.typing import EventDict

from telemetry.logs import otlp
from telemetry.logs.otlp import Records
from telemetry.metrics.containment import failsafe
from telemetry.traces import configuration, resource
from telemetry.traces.batches import Bounded, CountingExporter, installed_exporter

_SEVERITIES = {
    "debug": ("DEBUG", SeverityNumber.DEBUG),
    "info": ("INFO", SeverityNumber.INFO),
    "warning": ("WARN", SeverityNumber.WARN),
    "error": ("ERROR", SeverityNumber.ERROR),
    "critical": ("FATAL", SeverityNumber.FATAL),
}
_ELSEWHERE = frozenset(
    ("event", "level", "logger", "message", "pid", "timestamp", "trace_id", "span_id", "trace_sampled", "exc_info")
)
"""Fields that are not attributes: a record has them by itself, or its resource or scope does."""
_NAME = re.compile(r"[a-z][a-z0-9_.]{0,99}", re.ASCII)


def start(service: str) -> None:
    """Begin to export lines, after fork. `service` is the service name unless OTEL_SERVICE_NAME says otherwise."""
    otlp.use(ExportedRecords(service))


class ExportedRecords(Records):
    """Takes lines and never waits: a queue and a thread for each exporter."""

    def __init__(self, service: str) -> None:
        names = configuration.exporters(configuration.LOGS)
        self._processors = [BoundedLogProcessor(CountingLogExporter(_exporter(name))) for name in names]
        provider = LoggerProvider(resource=resource.of(service), shutdown_on_exit=False)
        for processor in self._processors:
            provider.add_log_record_processor(processor)
        self._logger = lru_cache(256)(provider.get_logger)

    @failsafe("logs")
    def emit(self, event: EventDict) -> None:
        logger: Logger = self._logger(str(event.get("logger") or "telemetry"))
        logger.emit(record(event))

    def stop(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for processor in self._processors:
            processor.stop(max(0.05, deadline - time.monotonic()))


def record(event: EventDict) -> LogRecord:
    """The record of a line: its message is the body, its event's name the name, its other fields are attributes."""
    text, number = _SEVERITIES.get(str(event.get("level")), _SEVERITIES["info"])
    name = str(event["event"])
    return LogRecord(
        timestamp=_nanoseconds(event.get("timestamp")),
        observed_timestamp=time.time_ns(),
        context=_context(event),
        severity_text=text,
        severity_number=number,
        body=str(event.get("message") or name),
        attributes=dict(_attributes(event)),
        event_name=name if _NAME.fullmatch(name) else None,
    )


def _nanoseconds(timestamp: Any) -> int | None:
    if not isinstance(timestamp, str):
        return None
    moment = datetime.fromisoformat(timestamp)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _context(event: EventDict) -> Context | None:
    """Of the line's span, where it says one; else whatever the SDK finds."""
    if not event.get("trace_id") or not event.get("span_id"):
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if event.get("trace_sampled") else TraceFlags.DEFAULT)
    span = SpanContext(int(event["trace_id"], 16), int(event["span_id"], 16), False, flags)
    return set_span_in_context(NonRecordingSpan(span), Context())


def _attributes(event: EventDict) -> Any:
    failed = "exception" in event
    for name, value in event.items():
        if name in _ELSEWHERE or name.startswith("_") or value is None:
            continue
        if name == "exception":
            yield "exception.stacktrace", value
        elif name == "error_type":
            yield ("exception.type" if failed else "error.type"), value
        else:
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    return {str(key): _plain(each) for key, each in value.items()} if isinstance(value, dict) else str(value)


def _exporter(name: str) -> LogRecordExporter:
    if name == "otlp_proto_http":
        return OTLPLogExporter(timeout=configuration.timeout(configuration.LOGS))
    exporter: LogRecordExporter = installed_exporter("logs", name)
    return exporter


class CountingLogExporter(CountingExporter, LogRecordExporter):
    pipeline = "logs"


class BoundedLogProcessor(Bounded, BatchLogRecordProcessor):
    pipeline = "logs"

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.count_full()
        super().on_emit(log_record)
