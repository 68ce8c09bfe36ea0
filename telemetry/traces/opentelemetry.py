"""OpenTelemetry behind `telemetry.traces`: the SDK's spans, samplers, limits, exporters, from the OTEL_* variables.

The Django instrumentation opens and closes the server span; its hooks, here, add what is known of the request. What it
and other libraries put on spans may be personal, so `export.py` takes that away as spans leave.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telemetry import traces
from telemetry.conf import conf, middleware_at
from telemetry.context import TRUSTED_CALLER, UNMATCHED, Observation, current
from telemetry.metrics.containment import failsafe
from telemetry.traces import Attributes, Tracing, configuration, export, pages, resource
from telemetry.traces.finished import KINDS, Finished, Processors
from telemetry.traces.tail import Tail

_SCOPE, _SCHEMA = "telemetry", list(Schemas)[-1].value
_TRACE_CONTEXT = TraceContextTextMapPropagator()


def instrument() -> None:
    """Let the instrumentation of Django open a span for each request. Before the server loads the middleware."""
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    if "OTEL_PROPAGATORS" not in os.environ:  # without baggage, which could carry anything
        propagate.set_global_textmap(_TRACE_CONTEXT)
    asked = os.environ.get("OTEL_PYTHON_DJANGO_EXCLUDED_URLS") or os.environ.get("OTEL_PYTHON_EXCLUDED_URLS", "")
    files = urlsplit(settings.STATIC_URL or "").path  # probes and beacons are answered outside of this middleware
    DjangoInstrumentor().instrument(
        request_hook=_began,
        response_hook=_ended,
        meter_provider=NoOpMeterProvider(),  # requests are measured once
        excluded_urls=",".join(filter(None, [asked, files and f"^[a-z]+://[^/]+{files}"])),
        middleware_position=0 if (ours := middleware_at()) is None else ours + 1,  # inside of ours
    )


def rehearse() -> None:
    """Make what `instrument` and `start` make, but for the threads that send. Raises what the libraries do."""
    TracerProvider(resource=Resource.create(), shutdown_on_exit=False)
    propagate.get_global_textmap()
    if "otlp_proto_http" in configuration.exporters():
        export.otlp_over_http()


def start(service: str) -> None:
    """Begin to trace, after fork. `service` is the service name unless OTEL_SERVICE_NAME says otherwise."""
    traces.use(OpenTelemetry(service))


def _began(span: Span, request: HttpRequest) -> None:
    """The instrumentation's request hook."""
    observation: Observation | None = getattr(request, "observation", None)
    if observation is None:
        return
    _note(observation, span)
    if span.is_recording():
        span.set_attribute("request.id", observation.request_id)
        if observation.queued:
            span.set_attribute("http.server.request.queued_ms", round(observation.queued * 1000, 1))
        claimed = _continued(request.META.get(_CLAIMED, ""))
        if claimed is not None:  # anybody may say so: it chooses neither our trace nor sampling
            span.add_link(claimed)


def _ended(span: Span, request: HttpRequest, response: HttpResponseBase) -> None:
    """The instrumentation's response hook: the names that are bounded."""
    observation: Observation | None = getattr(request, "observation", None)
    if observation is None or not span.is_recording():
        return
    if observation.route != UNMATCHED:
        span.update_name(f"{observation.method if observation.method != 'other' else 'HTTP'} {observation.route}")
        span.set_attributes({"http.route": observation.route, "url.path": observation.route})
    error = getattr(request, "raised_exception", None) or observation.error
    if error is not None and response.status_code >= 500:
        span.set_attribute("error.type", type(error).__qualname__)


_CLAIMED = "telemetry.claimed_parent"


class OpenTelemetry(Tracing):
    """Tracing that is on."""

    def __init__(self, service: str) -> None:
        self._processors = export.processors()
        processors = Processors(self._processors)
        provider = TracerProvider(
            resource=resource.of(service), shutdown_on_exit=False, active_span_processor=processors
        )
        trace.set_tracer_provider(provider)
        self._resource, self._scope = provider.resource, InstrumentationScope(_SCOPE, conf.release, _SCHEMA)
        self._tracer = provider.get_tracer(_SCOPE, conf.release, schema_url=_SCHEMA)
        self._finished = Finished(provider, processors, self._tracer, self._scope)
        never = os.environ.get("OTEL_TRACES_SAMPLER", "").endswith("always_off")  # it asks for no trace, not for few
        self._tail = None if never else Tail(self._processors, self._resource, self._scope, provider.id_generator)
        self._parents = [f"HTTP_{name.upper().replace('-', '_')}" for name in propagate.get_global_textmap().fields]
        RequestsInstrumentor().instrument(tracer_provider=provider, meter_provider=NoOpMeterProvider())

    def open_request(
        self, observation: Observation, environ: dict[str, Any], scope: dict[str, Any] | None = None
    ) -> None:
        """Leave in the environment, or ASGI's scope, what the instrumentation may continue, and nothing else."""
        claimed, vouched = environ.get("HTTP_TRACEPARENT", ""), pages.continued(observation.method, environ)
        trusted = environ.get(TRUSTED_CALLER)
        for name in ("HTTP_TRACESTATE", "HTTP_BAGGAGE", *(() if trusted and not vouched else self._parents)):
            environ.pop(name, None)
        if vouched:
            environ["HTTP_TRACEPARENT"] = vouched
        observation.caller = environ.get("HTTP_TRACEPARENT", "")
        if scope is not None:
            self._leave(environ, scope)
        if claimed and (vouched or not trusted):
            environ[_CLAIMED] = claimed

    def _leave(self, environ: dict[str, Any], scope: dict[str, Any]) -> None:
        """Make the headers of an ASGI scope say what the environment says."""
        names = {"HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HTTP_BAGGAGE", *self._parents}
        headers = {name.removeprefix("HTTP_").replace("_", "-").lower().encode(): name for name in names}
        kept = [pair for pair in scope["headers"] if pair[0].lower() not in headers]
        said = [(header, environ[name].encode("latin-1")) for header, name in headers.items() if name in environ]
        scope["headers"] = kept + said

    def record(
        self, name: str, seconds: float, kind: str, attributes: Attributes, error: BaseException | str | None
    ) -> None:
        parent = trace.get_current_span()
        if parent.is_recording():
            self._finished.add(parent, name, seconds, kind, attributes, error)
        else:
            self._list(name, seconds, kind, attributes, error)

    def _list(
        self, name: str, seconds: float, kind: str, attributes: Attributes, error: BaseException | str | None
    ) -> None:
        observation = current()
        if self._tail is not None and observation is not None and observation.trace_id and not observation.sampled:
            of = error if isinstance(error, str) else type(error).__qualname__ if error is not None else ""
            self._tail.note(observation, name, seconds, kind, attributes, of)

    @failsafe("traces")
    def decide(self, observation: Observation, seconds: float, failed: bool) -> None:
        if self._tail is not None and not observation.sampled:
            parent = _continued(observation.caller)
            observation.sampled = self._tail.decide(observation, seconds, failed, parent)

    def record_remote(
        self, name: str, trace_id: str, parent_id: str, start: float, end: float, attributes: Attributes, span_id: str
    ) -> None:
        sampled, trace_number = TraceFlags(TraceFlags.SAMPLED), int(trace_id, 16)
        own = int(span_id, 16) if span_id else export.new_id()
        span = ReadableSpan(
            name,
            context=SpanContext(trace_number, own, is_remote=False, trace_flags=sampled),
            parent=SpanContext(trace_number, int(parent_id, 16), is_remote=True, trace_flags=sampled),
            resource=self._resource,
            attributes={key: value for key, value in attributes.items() if value is not None},
            kind=SpanKind.CLIENT,
            start_time=int(start * 1e9),
            end_time=int(end * 1e9),
            instrumentation_scope=self._scope,
        )
        for processor in self._processors:
            processor.on_end(span)

    @contextmanager
    def span(self, name: str, kind: str, attributes: Attributes) -> Iterator[None]:
        if not trace.get_current_span().is_recording():
            began, failure = time.perf_counter(), None
            try:
                yield
            except BaseException as error:
                failure = error
                raise
            finally:
                self._list(name, time.perf_counter() - began, kind, attributes, failure)
            return
        with (
            self._tracer.start_as_current_span(
                name, kind=KINDS[kind], attributes=attributes, record_exception=False, set_status_on_exception=False
            ) as span,
            _failing(span),
        ):
            yield

    def event(self, name: str, attributes: Attributes) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(name, {key: _plain(value) for key, value in attributes.items() if value is not None})

    def link(self, traceparent: str) -> None:
        span, context = trace.get_current_span(), _continued(traceparent)
        if context is not None and span.is_recording():
            span.add_link(context)

    def sampled(self) -> bool:
        return trace.get_current_span().get_span_context().trace_flags.sampled

    def carrier(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        if current() is not None:
            _TRACE_CONTEXT.inject(carrier)
            carrier.pop("tracestate", None)
        return carrier

    def outgoing(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        return headers

    @contextmanager
    def task(self, observation: Observation, carrier: Mapping[str, str], attributes: Attributes) -> Iterator[None]:
        parent = _continued(carrier.get("traceparent", ""))
        context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent else otel_context.Context()
        with (
            self._tracer.start_as_current_span(
                observation.route,
                context=context,
                kind=SpanKind.CONSUMER,
                attributes={**attributes, "request.id": observation.request_id},
                links=[Link(parent)] if parent else [],
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
            _failing(span),
        ):
            _note(observation, span)
            observation.caller = carrier.get("traceparent", "")
            yield

    def stop(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for processor in self._processors:
            processor.stop(max(0.05, deadline - time.monotonic()))


def _note(observation: Observation, span: Span) -> None:
    context = span.get_span_context()
    observation.trace_id, observation.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    observation.sampled = context.trace_flags.sampled


def _fail(span: Span, error: BaseException | str) -> None:
    """The class alone: an exception's text may name a customer."""
    span.set_attribute("error.type", error if isinstance(error, str) else type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


@contextmanager
def _failing(span: Span) -> Iterator[None]:
    """An exception marks the span and passes on."""
    try:
        yield
    except BaseException as error:
        _fail(span, error)
        raise


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _continued(traceparent: str) -> SpanContext | None:
    """The caller's span. Without `tracestate`: free text that would travel into spans, jobs and calls."""
    if not traceparent:
        return None
    context = _TRACE_CONTEXT.extract({"traceparent": traceparent}, otel_context.Context())
    parent = trace.get_current_span(context).get_span_context()
    return parent if parent.is_valid else None
