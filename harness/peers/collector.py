"""An OpenTelemetry collector that keeps what it gets: OTLP over http/protobuf on the loopback address."""

import gzip
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Span:
    """One span as received; ids in hexadecimal, times in seconds since the epoch."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    start: float
    end: float
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]
    links: list[tuple[str, str]]
    events: list[str]


@dataclass(frozen=True)
class Record:
    """One log record as received; ids in hexadecimal, times in nanoseconds since the epoch."""

    name: str
    body: str
    severity: tuple[int, str]
    time: int
    trace_id: str
    span_id: str
    sampled: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str


@dataclass
class Collector:
    """`environment` is what makes a process send here; `text` is everything received, for a search."""

    port: int
    spans: list[Span] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def named(self, name: str) -> list[Span]:
        """The spans of that name received so far."""
        return [span for span in list(self.spans) if span.name == name]

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace received so far."""
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    def logged(self, name: str) -> list[Record]:
        """The log records of that event received so far."""
        return [record for record in list(self.records) if record.name == name]

    def take_logs(self, body: bytes) -> None:
        request = ExportLogsServiceRequest.FromString(body)
        self.text.append(str(request))
        for of_resource in request.resource_logs:
            resource = _named(of_resource.resource.attributes)
            for of_scope in of_resource.scope_logs:
                self.records += [_record(each, resource, of_scope.scope.name) for each in of_scope.log_records]

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        self.text.append(str(request))
        for resource_spans in request.resource_spans:
            resource = _named(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                self.spans += [_span(span, resource) for span in scope_spans.spans]


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Listen on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            logs = self.path == "/v1/logs"
            (collector.take_logs if logs else collector.take)(body)
            answer = (ExportLogsServiceResponse() if logs else ExportTraceServiceResponse()).SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(server.server_port)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield collector
        server.shutdown()


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def _named(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {item.key: _value(item.value) for item in attributes}


def _record(record: LogRecord, resource: dict[str, Any], scope: str) -> Record:
    return Record(
        name=record.event_name,
        body=record.body.string_value,
        severity=(record.severity_number, record.severity_text),
        time=record.time_unix_nano,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        sampled=bool(record.flags & 1),
        attributes=_named(record.attributes),
        resource=resource,
        scope=scope,
    )


def _span(span: ProtoSpan, resource: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_named(span.attributes),
        resource=resource,
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        events=[event.name for event in span.events],
    )
