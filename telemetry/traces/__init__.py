"""Traces: one span for the request or task, one for each thing it waited for.

On when `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`) is set; otherwise a null object stands in and the
OpenTelemetry SDK is not even imported. `start` is called after fork, `stop` when the process ends. Spans exist only
inside an open request or task, so background loops and untraced routes cost nothing and make no stray traces.

Names and attributes are bounded and hold no personal data: route templates, query summaries, error classes.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

from telemetry.context import Observation, current
from telemetry.metrics.containment import failsafe
from telemetry.sink import Sink
from telemetry.traces import configuration
from telemetry.traces.configuration import configured

Attributes = Mapping[str, str | int | float | bool]


class Tracing:
    """A tracing backend that does nothing: what stands in while tracing is off, and the shape of one that does.

    See the functions of this module for the meaning.
    """

    def open_request(
        self, observation: Observation, environ: dict[str, Any], scope: dict[str, Any] | None = None
    ) -> None: ...
    def record(
        self, name: str, seconds: float, kind: str, attributes: Attributes, error: BaseException | str | None
    ) -> None: ...
    def record_remote(
        self, name: str, trace_id: str, parent_id: str, start: float, end: float, attributes: Attributes, span_id: str
    ) -> None: ...

    @contextmanager
    def span(self, name: str, kind: str, attributes: Attributes) -> Iterator[None]:
        yield

    def event(self, name: str, attributes: Attributes) -> None: ...
    def link(self, traceparent: str) -> None: ...
    def decide(self, observation: Observation, seconds: float, failed: bool) -> None: ...

    def sampled(self) -> bool:
        return False

    def carrier(self) -> dict[str, str]:
        return {}

    def outgoing(self) -> dict[str, str]:
        return {}

    @contextmanager
    def task(self, observation: Observation, carrier: Mapping[str, str], attributes: Attributes) -> Iterator[None]:
        yield

    def stop(self, timeout: float) -> None: ...


_sink = Sink(Tracing())
use, stop = _sink.use, _sink.stop


def wanted() -> bool:
    """Whether tracing is configured and nothing traces yet."""
    return configured() and not _sink.on


def faults() -> Iterator[str]:
    """What OpenTelemetry's libraries refuse, a sentence each; nothing while nothing is configured."""
    if configured():
        yield from _found(tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith("OTEL_"))))


@lru_cache(maxsize=1)  # asked by the check, the instrumentation and the start, of the same environment
def _found(_environment: tuple[tuple[str, str], ...]) -> list[str]:
    if known := configuration.faults():
        return known
    configuration.unset_empty()
    with configuration.said() as said:
        try:  # also what no rule of ours knows
            from telemetry.traces import opentelemetry

            opentelemetry.rehearse()
        except Exception as error:
            said.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return [f"OpenTelemetry refuses its configuration: {each}." for each in said]


@failsafe("traces")
def instrument() -> None:
    """Let requests get spans, where tracing is configured soundly. When the application is ready."""
    if not list(faults()) and configured():
        from telemetry.traces import opentelemetry

        opentelemetry.instrument()


def open_request(observation: Observation, environ: dict[str, Any], scope: dict[str, Any] | None = None) -> None:
    """Decide what the server span may continue: a page of ours (pages.py), or a trusted proxy's caller.

    `environ` (`request.META`) keeps the headers that say so and loses the others; another caller's trace is linked. So
    do those of `scope`, which the instrumentation reads under ASGI. The span sets trace_id, span_id and sampled of
    `observation`.
    """
    _sink.active.open_request(observation, environ, scope)


def record(
    name: str,
    seconds: float,
    *,
    kind: str = "internal",
    attributes: Attributes = {},  # noqa: B006  # never written to
    error: BaseException | str | None = None,
) -> None:
    """A child span of something that took `seconds` and has just ended (a query, a wait for the pool).

    `kind` is "internal", "client", "producer" or "consumer". `error` marks the span as failed by its class name.
    """
    _sink.active.record(name, seconds, kind, attributes, error)


def record_remote(
    name: str,
    *,
    trace_id: str,
    parent_id: str,
    start: float,
    end: float,
    attributes: Attributes = {},  # noqa: B006  # never written to
    span_id: str = "",
) -> None:
    """A span that happened elsewhere (a browser), inside a trace of ours. Times are seconds since the epoch.

    Ids are lower-case hexadecimal. `span_id` is given when the other side has already told others its id.
    """
    _sink.active.record_remote(name, trace_id, parent_id, start, end, attributes, span_id)


def span(
    name: str,
    *,
    kind: str = "internal",
    attributes: Attributes = {},  # noqa: B006  # never written to
) -> AbstractContextManager[None]:
    """A child span around a block; an exception marks it failed and passes on."""
    return _sink.active.span(name, kind, attributes)


def event(name: str, attributes: Attributes = {}) -> None:  # noqa: B006  # never written to
    """Note something that happened on the current span."""
    _sink.active.event(name, attributes)


def link(traceparent: str) -> None:
    """Note on the current span that it continues another one, which `carrier` named then."""
    _sink.active.link(traceparent)


def decide(observation: Observation, seconds: float, failed: bool) -> None:
    """A request or task is over after so long: one that failed or was slow is kept, whatever the sampler has said."""
    _sink.active.decide(observation, seconds, failed)


def sampled() -> bool:
    """Whether the current request or task is being recorded; what continues it elsewhere should follow suit."""
    return _sink.active.sampled()


def exemplar() -> dict[str, str] | None:
    """`{"trace_id": …}` for an exemplar of a metric, while the current request or task is being recorded."""
    observation = current()
    return {"trace_id": observation.trace_id} if observation is not None and observation.sampled else None


def carrier() -> dict[str, str]:
    """`{"traceparent": ...}` of the current span for whoever continues the work, or nothing."""
    return _sink.active.carrier()


def outgoing() -> dict[str, str]:
    """The headers by which an outgoing call continues the current span: those of OTEL_PROPAGATORS."""
    return _sink.active.outgoing()


def task(observation: Observation, carrier: Mapping[str, str], attributes: Attributes) -> AbstractContextManager[None]:
    """The span of a background task, linked to the span whose `carrier` deferred it and in the same trace."""
    return _sink.active.task(observation, carrier, attributes)


def traced_query(
    summary: str, seconds: float, error: BaseException | None = None, engine: str = "postgresql", namespace: str = ""
) -> None:
    """The span of one database query. `summary` is bounded, e.g. `SELECT shop_order`; `namespace` is the database."""
    if not _sink.on:
        return
    attributes = _query(summary, engine, namespace)
    if error is None:
        record(summary, seconds, kind="client", attributes=attributes)
        return
    cause = error.__cause__ or error  # Django's exception, because of the driver's
    state = getattr(cause, "sqlstate", None)
    refused = {**attributes, "db.response.status_code": state} if state else attributes
    record(summary, seconds, kind="client", attributes=refused, error=type(cause).__name__)


@lru_cache(maxsize=1024)
def _query(summary: str, engine: str, namespace: str) -> Attributes:
    operation, _, collection = summary.partition(" ")
    attributes = {"db.system.name": engine, "db.query.summary": summary, "db.operation.name": operation}
    if namespace:
        attributes["db.namespace"] = namespace
    if collection and " " not in collection:
        attributes["db.collection.name"] = collection
    return attributes


def traced_acquire(seconds: float, error: BaseException | None = None) -> None:
    """The span of a wait for a connection of the pool; `error` is what ended it in vain."""
    record("db.pool.acquire", seconds, error=error)
