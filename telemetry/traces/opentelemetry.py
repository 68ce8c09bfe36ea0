"""OpenTelemetry behind `telemetry.traces`: sampler, resource, queue and exporter from the standard OTEL_* variables.

The server span is opened here and not by the Django instrumentation's middleware: that costs 127 µs of CPU per request
(it rebuilds the URL three times, resolves the route a second time and records metrics we have already), and it puts the
query string, the client's address and its user agent on the span, which nobody here may keep. The spans of an open
request hang on its observation (`Trace`); OpenTelemetry's own context names the current one too, for the
instrumentation of outgoing calls.
"""

import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telemetry import traces
from telemetry.context import TRUSTED_CALLER, UNMATCHED, Observation, current
from telemetry.traces import Attributes, Tracing, pages
from telemetry.traces.otlp import BoundedProcessor, CountingExporter, LightSpan

_PROPAGATOR = TraceContextTextMapPropagator()
"""W3C trace context alone: baggage could carry anything, and nobody here reads it."""

_SCOPE = "telemetry"
_FLAGS = {True: TraceFlags(TraceFlags.SAMPLED), False: TraceFlags(TraceFlags.DEFAULT)}


class Trace:
    """The part of a trace that belongs to one request or task: its open spans, outermost first."""

    __slots__ = ("open", "sampled", "token")

    def __init__(self, root: LightSpan, sampled: bool) -> None:
        self.open, self.sampled = [root], sampled
        self.token = self.attach()

    def attach(self) -> Token[otel_context.Context]:
        """Make the innermost open span OpenTelemetry's current one."""
        span = self.open[-1]
        context = SpanContext(
            int.from_bytes(span.trace_id),
            int.from_bytes(span.span_id),
            is_remote=False,
            trace_flags=_FLAGS[self.sampled],
        )
        return otel_context.attach(trace.set_span_in_context(NonRecordingSpan(context)))


def start(service: str, version: str, environment: str) -> None:
    """Begin to trace, after fork. `service` is the service name unless OTEL_SERVICE_NAME says otherwise."""
    traces.use(OpenTelemetry(service, version, environment))


class OpenTelemetry(Tracing):
    """Tracing that is on."""

    def __init__(self, service: str, version: str, environment: str) -> None:
        given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        resource = {"service.version": version, "deployment.environment.name": environment}
        if "OTEL_SERVICE_NAME" not in os.environ and "service.name=" not in given:
            resource["service.name"] = service
        provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
        self._sampler = provider.sampler
        self._processor = BoundedProcessor(CountingExporter(provider.resource, _SCOPE, version))
        provider.add_span_processor(self._processor)
        trace.set_tracer_provider(provider)
        set_global_textmap(_PROPAGATOR)
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        RequestsInstrumentor().instrument(tracer_provider=provider, meter_provider=NoOpMeterProvider())

    def open_request(self, observation: Observation, environ: dict[str, Any]) -> None:
        if environ.get("PATH_INFO", "").startswith(traces.UNTRACED):
            return
        parent, claimed = pages.continued(observation.method, environ), environ.get("HTTP_TRACEPARENT", "")
        if not parent and environ.get(TRUSTED_CALLER):
            parent, claimed = claimed, ""
        attributes = {"http.request.method": observation.method, "request.id": observation.request_id}
        self._begin(observation, observation.method, SpanKind.SERVER, parent, attributes)
        if claimed and (link := _continued(claimed)):  # anybody may say so: it chooses neither our trace nor sampling
            _, span = link
            observation.span.open[0].link = span.trace_id.to_bytes(16), span.span_id.to_bytes(8)

    def close_request(self, observation: Observation, error: BaseException | None) -> None:
        traced: Trace | None = observation.span
        if traced is None:
            return
        if traced.sampled:
            span = traced.open[0]
            attributes = dict(span.attributes)
            if observation.route != UNMATCHED:
                span.name = f"{observation.method} {observation.route}"
                attributes["http.route"] = observation.route
            attributes["http.response.status_code"] = observation.status
            span.attributes = attributes
            if error is not None:
                span.fail(error)
            elif observation.status >= 500:
                span.fail(str(observation.status))
        self._finish(observation, traced)

    def record(
        self, name: str, seconds: float, kind: str, attributes: Attributes, error: BaseException | str | None
    ) -> None:
        traced = _sampled()
        if traced is None:
            return
        parent = traced.open[-1]
        ended = time.time_ns()
        span = LightSpan(name, kind, parent.trace_id, _new_id(), parent.span_id, ended - int(seconds * 1e9), attributes)
        if error is not None:
            span.fail(error)
        self._end(span, ended)

    def record_remote(
        self, name: str, trace_id: str, parent_id: str, start: float, end: float, attributes: Attributes, span_id: str
    ) -> None:
        own = bytes.fromhex(span_id) if span_id else _new_id()
        trace_bytes, parent = bytes.fromhex(trace_id), bytes.fromhex(parent_id)
        span = LightSpan(name, "client", trace_bytes, own, parent, int(start * 1e9), attributes)
        span.remote = True
        self._end(span, int(end * 1e9))

    @contextmanager
    def span(self, name: str, kind: str, attributes: Attributes) -> Iterator[None]:
        traced = _sampled()
        if traced is None:
            yield
            return
        parent = traced.open[-1]
        span = LightSpan(name, kind, parent.trace_id, _new_id(), parent.span_id, time.time_ns(), attributes)
        traced.open.append(span)
        token = traced.attach()
        try:
            yield
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            otel_context.detach(token)
            traced.open.remove(span)
            self._end(span, time.time_ns())

    def event(self, name: str, attributes: Attributes) -> None:
        if traced := _sampled():
            traced.open[-1].events.append((name, time.time_ns(), attributes))

    def sampled(self) -> bool:
        return _sampled() is not None

    def carrier(self) -> dict[str, str]:
        traced = _current()
        if traced is None:
            return {}
        span = traced.open[-1]
        return {"traceparent": f"00-{span.trace_id.hex()}-{span.span_id.hex()}-{int(traced.sampled):02d}"}

    @contextmanager
    def task(self, observation: Observation, carrier: Mapping[str, str], system: str) -> Iterator[None]:
        attributes = {"messaging.system": system, "request.id": observation.request_id}
        traced = self._begin(
            observation, observation.route, SpanKind.CONSUMER, carrier.get("traceparent", ""), attributes
        )
        task = traced.open[0]
        task.link = (task.trace_id, task.parent_id) if task.parent_id else None
        try:
            yield
        except BaseException as error:
            task.fail(error)
            raise
        finally:
            self._finish(observation, traced)

    def stop(self, timeout: float) -> None:
        self._processor.stop(timeout)

    def _begin(
        self, observation: Observation, name: str, kind: SpanKind, traceparent: str, attributes: Attributes
    ) -> Trace:
        """Open the outermost span, as a child of `traceparent` where that is one. The sampler of OTEL_* decides."""
        continued = _continued(traceparent) if traceparent else None
        parent_id = b""
        if continued is None:
            context, trace_id = None, random.getrandbits(128) or 1
        else:
            context, parent = continued
            trace_id, parent_id = parent.trace_id, parent.span_id.to_bytes(8)
        decision = self._sampler.should_sample(context, trace_id, name, kind, attributes).decision
        root = LightSpan(
            name, kind.name.lower(), trace_id.to_bytes(16), _new_id(), parent_id, time.time_ns(), attributes
        )
        root.remote = continued is not None
        observation.trace_id, observation.span_id = root.trace_id.hex(), root.span_id.hex()
        observation.span = traced = Trace(root, decision.is_sampled())
        return traced

    def _finish(self, observation: Observation, traced: Trace) -> None:
        observation.span = None
        otel_context.detach(traced.token)
        if traced.sampled:
            self._end(traced.open[0], time.time_ns())

    def _end(self, span: LightSpan, at: int) -> None:
        span.end = at
        self._processor.put(span)


def _current() -> Trace | None:
    observation = current()
    return observation.span if observation is not None else None


def _sampled() -> Trace | None:
    traced = _current()
    return traced if traced is not None and traced.sampled else None


def _new_id() -> bytes:
    return random.getrandbits(64).to_bytes(8)


def _continued(traceparent: str) -> tuple[otel_context.Context, SpanContext] | None:
    """The caller's span. Without `tracestate`: free text that would travel into spans, jobs and calls."""
    if not traceparent:
        return None
    context = _PROPAGATOR.extract({"traceparent": traceparent}, otel_context.Context())
    parent = trace.get_current_span(context).get_span_context()
    return (context, parent) if parent.is_valid else None
