"""Spans on their way out: a light record of each, the queue they wait in, and their encoding.

The SDK's queue and its exporter carry them. Its span objects are not used for what we see ourselves: making, ending
and encoding one costs 40 µs of CPU, and a request has five to twenty; these cost 8.
"""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, SpanFlags
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Encoded
from opentelemetry.proto.trace.v1.trace_pb2 import Status as EncodedStatus
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status

from telemetry.metrics import catalogue
from telemetry.traces import Attributes

_FOREIGN_ATTRIBUTES = {
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "server.address",
    "server.port",
}
"""What a library's own instrumentation may say; its URLs, messages and stacks hold queries and text of customers."""

KINDS = {
    "internal": Encoded.SPAN_KIND_INTERNAL,
    "server": Encoded.SPAN_KIND_SERVER,
    "client": Encoded.SPAN_KIND_CLIENT,
    "producer": Encoded.SPAN_KIND_PRODUCER,
    "consumer": Encoded.SPAN_KIND_CONSUMER,
}
_PATIENCE = 5.0
"""Seconds a collector gets for one batch; loss is reported that much later."""

_LOCAL = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE = _LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


class LightSpan:
    """A span, open or ended. Ids are bytes (16 and 8; no parent: none), times nanoseconds since the epoch."""

    __slots__ = (
        "attributes",
        "end",
        "error",
        "events",
        "kind",
        "link",
        "name",
        "parent_id",
        "remote",
        "span_id",
        "start",
        "trace_id",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        trace_id: bytes,
        span_id: bytes,
        parent_id: bytes,
        start: int,
        attributes: Attributes,
    ) -> None:
        self.name, self.kind = name, kind
        self.trace_id, self.span_id, self.parent_id = trace_id, span_id, parent_id
        self.start, self.end = start, 0
        self.attributes = attributes
        self.error = ""
        """The class of what made it fail."""
        self.events: list[tuple[str, int, Attributes]] = []
        self.remote = False
        """Whether the parent is in another process."""
        self.link: tuple[bytes, bytes] | None = None
        """The trace and the span in another process that it is linked to."""

    def fail(self, error: BaseException | str) -> None:
        """The class alone: an exception's text may name a customer."""
        self.error = error if isinstance(error, str) else type(error).__qualname__


class CountingExporter(OTLPSpanExporter):
    """Encodes light spans beside the SDK's, counts those not taken, and waits 5 s at most for the collector."""

    def __init__(self, resource: Resource, scope: str, version: str) -> None:
        given = {"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"} & os.environ.keys()
        super().__init__(timeout=None if given else _PATIENCE)
        nobody = ReadableSpan(
            "",
            context=SpanContext(1, 1, is_remote=False),
            resource=resource,
            instrumentation_scope=InstrumentationScope(scope, version),
        )
        [self._frame] = encode_spans([nobody]).resource_spans
        del self._frame.scope_spans[0].spans[:]

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        sent = not self._shutdown and self._client.export(self._encoded(spans)).success
        if not sent:
            catalogue.telemetry_dropped.labels("traces", "export_failed").inc(len(spans))
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE

    def _encoded(self, spans: Sequence[LightSpan | ReadableSpan]) -> bytes:
        foreign = [span for span in spans if isinstance(span, ReadableSpan)]
        request = encode_spans(foreign) if foreign else ExportTraceServiceRequest()
        ours = ResourceSpans()
        ours.CopyFrom(self._frame)
        ours.scope_spans[0].spans.extend([_encode(span) for span in spans if isinstance(span, LightSpan)])
        request.resource_spans.append(ours)
        return request.SerializeToString()


class BoundedProcessor(BatchSpanProcessor):
    """A batch processor that takes light spans too, counts what it drops and ends when told to.

    The SDK's own shutdown waits 30 s for a collector that does not answer.
    """

    def put(self, span: LightSpan | ReadableSpan) -> None:
        """Queue an ended span; the oldest makes room when the queue is full."""
        batch = self._batch_processor
        if len(batch._queue) >= batch._max_queue_size:  # noqa: SLF001 - docs/architecture.md, Private names
            catalogue.telemetry_dropped.labels("traces", "queue_full").inc()
        batch.emit(span)  # type: ignore[arg-type]  # it only carries them

    def on_end(self, span: ReadableSpan) -> None:
        """A library's span has ended; one outside of a request or task is a background check's."""
        context = span.context
        if span.parent is not None and context is not None and context.trace_flags.sampled:
            self.put(_stripped(span))

    def stop(self, timeout: float) -> None:
        batch = self._batch_processor
        batch.shutdown(timeout_millis=int(timeout * 1000))
        if left := len(batch._queue):  # noqa: SLF001 - docs/architecture.md, Private names
            catalogue.telemetry_dropped.labels("traces", "shutdown").inc(left)


def _encode(span: LightSpan) -> Encoded:
    attributes = _key_values(span.attributes)
    if span.error:
        attributes.append(KeyValue(key="error.type", value=AnyValue(string_value=span.error)))
    encoded = Encoded(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        name=span.name,
        kind=KINDS[span.kind],
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=attributes,
        flags=_REMOTE if span.remote else _LOCAL,
    )
    if span.error:
        encoded.status.code = EncodedStatus.STATUS_CODE_ERROR
    for name, at, noted in span.events:
        encoded.events.add(name=name, time_unix_nano=at, attributes=_key_values(noted))
    if span.link:
        trace_id, span_id = span.link
        encoded.links.add(trace_id=trace_id, span_id=span_id, flags=_REMOTE)
    return encoded


def _key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [
        _word(key, value) if type(value) is str and key != "request.id" else _key_value(key, value)
        for key, value in attributes.items()
        if value is not None
    ]


def _key_value(key: str, value: Any) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=str(value)))


_word = lru_cache(maxsize=1024)(_key_value)
"""Summaries, routes, methods: the same few over and over."""


def _stripped(span: ReadableSpan) -> ReadableSpan:
    """A library's span with the allowed attributes alone, and without its events."""
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={key: value for key, value in (span.attributes or {}).items() if key in _FOREIGN_ATTRIBUTES},
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
