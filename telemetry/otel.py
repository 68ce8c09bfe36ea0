"""OpenTelemetry behind `telemetry.tracing`: provider, sampler and exporter from the standard OTEL_* variables.

The server span is opened here and not by the Django instrumentation's middleware: that costs 127 µs of CPU per request
(it rebuilds the URL three times, resolves the route a second time and records metrics we have already) where this costs
25, and it puts the query string, the client's address and its user agent on the span, which nobody here may keep.
"""

import os
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Token
from typing import Any, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telemetry import metrics, tracing
from telemetry.context import UNMATCHED, Observation
from telemetry.tracing import Attributes, Tracing

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_PROPAGATOR = TraceContextTextMapPropagator()
"""W3C trace context alone: baggage could carry anything, and nobody here reads it."""

_OF_FORM = re.compile(r"(?:^|&)traceparent=([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})(?:&|$)")
"""What the beacon adds to the address of a form that is sent: a navigation takes no header."""

_SCOPE = "xfhandyman"
_PATIENCE = 5.0
"""Seconds a collector gets for one batch; loss is told that much later."""

_FOREIGN_ATTRIBUTES = {
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "server.address",
    "server.port",
}
"""What a library's own instrumentation may say; its URLs, messages and stacks hold queries and text of customers."""


class _Open(NamedTuple):
    """A span and what was current before it."""

    span: Span
    token: Token[otel_context.Context]


class _Ids(IdGenerator):
    """Random ids, or the one a browser has already given its span."""

    def __init__(self) -> None:
        self._local = threading.local()

    def use(self, span_id: str) -> None:
        """The id of the next span of this thread; "" for a random one."""
        self._local.wanted = int(span_id, 16) if span_id else 0

    def generate_span_id(self) -> int:
        wanted: int = getattr(self._local, "wanted", 0)
        self._local.wanted = 0
        return wanted or random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return random.getrandbits(128) or 1


class _CountingExporter(OTLPSpanExporter):
    """Counts the spans the collector did not take, and gives up on one that does not answer after 5 s instead of 10."""

    def __init__(self) -> None:
        given = {"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"} & os.environ.keys()
        super().__init__(timeout=None if given else _PATIENCE)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if result is not SpanExportResult.SUCCESS:
            metrics.telemetry_dropped.labels("traces", "export_failed").inc(len(spans))
        return result


class _BoundedProcessor(BatchSpanProcessor):
    """A batch processor that counts what it drops and ends when told to.

    The SDK's own shutdown waits 30 s for a collector that does not answer.
    """

    def on_end(self, span: ReadableSpan) -> None:
        scope = span.instrumentation_scope
        if scope is None or scope.name != _SCOPE:
            if span.parent is None:  # outside of a request or task: a background check
                return
            span = _stripped(span)
        batch = self._batch_processor
        if len(batch._queue) >= batch._max_queue_size:
            metrics.telemetry_dropped.labels("traces", "queue_full").inc()
        super().on_end(span)

    def stop(self, timeout: float) -> None:
        batch = self._batch_processor
        batch.shutdown(timeout_millis=int(timeout * 1000))
        if left := len(batch._queue):
            metrics.telemetry_dropped.labels("traces", "shutdown").inc(left)


class OpenTelemetry(Tracing):
    """Tracing that is on."""

    def __init__(self, service: str, version: str, environment: str) -> None:
        given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        resource = {"service.version": version, "deployment.environment.name": environment}
        if "OTEL_SERVICE_NAME" not in os.environ and "service.name=" not in given:
            resource["service.name"] = service
        self._processor = _BoundedProcessor(_CountingExporter())
        self._ids = _Ids()
        provider = TracerProvider(resource=Resource.create(resource), id_generator=self._ids, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        trace.set_tracer_provider(provider)
        set_global_textmap(_PROPAGATOR)
        self._tracer = provider.get_tracer(_SCOPE, version)
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        RequestsInstrumentor().instrument(tracer_provider=provider, meter_provider=NoOpMeterProvider())

    def open_request(self, observation: Observation, environ: dict[str, Any]) -> None:
        if environ.get("PATH_INFO", "").startswith(tracing.UNTRACED):
            return
        parent = _continued(environ.get("HTTP_TRACEPARENT", ""))
        if not parent and observation.method == "POST" and (form := _OF_FORM.search(environ.get("QUERY_STRING", ""))):
            parent = _continued(form[1])
        self._open(
            observation,
            self._tracer.start_span(
                observation.method,
                parent,
                SpanKind.SERVER,
                {"http.request.method": observation.method, "request.id": observation.request_id},
            ),
        )

    def close_request(self, observation: Observation, error: BaseException | None) -> None:
        opened: _Open | None = observation.span
        if opened is None:
            return
        observation.span = None
        span = opened.span
        otel_context.detach(opened.token)
        if span.is_recording():
            if observation.route != UNMATCHED:
                span.update_name(f"{observation.method} {observation.route}")
                span.set_attribute("http.route", observation.route)
            span.set_attribute("http.response.status_code", observation.status)
            if error is not None:
                _fail(span, error)
            elif observation.status >= 500:
                _fail(span, str(observation.status))
        span.end()

    def record(
        self, name: str, seconds: float, kind: str, attributes: Attributes, error: BaseException | str | None
    ) -> None:
        if not trace.get_current_span().is_recording():
            return
        ended = time.time_ns()
        span = self._tracer.start_span(name, None, _KINDS[kind], attributes, start_time=ended - int(seconds * 1e9))
        if error is not None:
            _fail(span, error)
        span.end(ended)

    def record_remote(
        self, name: str, trace_id: str, parent_id: str, start: float, end: float, attributes: Attributes, span_id: str
    ) -> None:
        parent = SpanContext(
            int(trace_id, 16), int(parent_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )
        context = trace.set_span_in_context(NonRecordingSpan(parent), otel_context.Context())
        self._ids.use(span_id)
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=int(start * 1e9))
        span.end(int(end * 1e9))

    @contextmanager
    def span(self, name: str, kind: str, attributes: Attributes) -> Iterator[None]:
        if not trace.get_current_span().is_recording():
            yield
            return
        with self._tracer.start_as_current_span(
            name, kind=_KINDS[kind], attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                _fail(span, error)
                raise

    def event(self, name: str, attributes: Attributes) -> None:
        trace.get_current_span().add_event(name, attributes)

    def sampled(self) -> bool:
        return trace.get_current_span().is_recording()

    def carrier(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers)
        return headers

    @contextmanager
    def task(self, observation: Observation, carrier: Mapping[str, str]) -> Iterator[None]:
        parent = _PROPAGATOR.extract(carrier, otel_context.Context())
        origin = trace.get_current_span(parent).get_span_context()
        self._open(
            observation,
            self._tracer.start_span(
                observation.route,
                parent,
                SpanKind.CONSUMER,
                {"messaging.system": "procrastinate", "request.id": observation.request_id},
                [Link(origin)] if origin.is_valid else (),
            ),
        )
        opened: _Open = observation.span
        try:
            yield
        except BaseException as error:
            _fail(opened.span, error)
            raise
        finally:
            observation.span = None
            otel_context.detach(opened.token)
            opened.span.end()

    def stop(self, timeout: float) -> None:
        self._processor.stop(timeout)

    def _open(self, observation: Observation, span: Span) -> None:
        context = span.get_span_context()
        observation.trace_id = trace.format_trace_id(context.trace_id)
        observation.span_id = trace.format_span_id(context.span_id)
        observation.span = _Open(span, otel_context.attach(trace.set_span_in_context(span)))


def _continued(traceparent: str) -> otel_context.Context:
    """The caller's span, or nothing. Without `tracestate`: free text that would travel into spans, jobs and calls."""
    return _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {}, otel_context.Context())


def _fail(span: Span, error: BaseException | str) -> None:
    """The class alone: an exception's text may name a customer."""
    kind = error if isinstance(error, str) else type(error).__qualname__
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


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
