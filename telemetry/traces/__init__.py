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
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from telemetry.context import Observation, current

Attributes = Mapping[str, str | int | float | bool]

_SIZES = {
    "OTEL_BSP_MAX_QUEUE_SIZE": 2048,
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 512,
    "OTEL_BSP_SCHEDULE_DELAY": 5000,
}
"""Of the batch processor, with the SDK's defaults."""

_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "opentelemetry.instrumentation.django")

STOP_TIMEOUT = 0.8
"""Seconds the last spans get to leave when the process ends."""


class Tracing:
    """A tracing backend that does nothing: what stands in while tracing is off, and the shape of one that does.

    See the functions of this module for the meaning.
    """

    def open_request(self, observation: Observation, environ: dict[str, Any]) -> None: ...
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

    def sampled(self) -> bool:
        return False

    def carrier(self) -> dict[str, str]:
        return {}

    @contextmanager
    def task(self, observation: Observation, carrier: Mapping[str, str], attributes: Attributes) -> Iterator[None]:
        yield

    def stop(self, timeout: float) -> None: ...


_OFF = Tracing()
_active = _OFF


def configured() -> bool:
    """Whether an exporter or an endpoint is set in the standard variables."""
    get = os.environ.get
    said = (
        get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or get("OTEL_EXPORTER_OTLP_ENDPOINT") or get("OTEL_TRACES_EXPORTER")
    )
    return bool(said) and get("OTEL_SDK_DISABLED", "").lower() != "true"


def wanted() -> bool:
    """Whether tracing is configured and nothing traces yet."""
    return configured() and _active is _OFF


def instrument() -> None:
    """Let requests get spans, where tracing is configured soundly. When the application is ready."""
    if configured() and not list(faults()):
        from telemetry.traces import opentelemetry

        opentelemetry.instrument()


def faults() -> Iterator[str]:
    """What OpenTelemetry's libraries would refuse, a sentence each; nothing while nothing is configured."""
    if not configured():
        return
    get = os.environ.get
    endpoint = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        yield f"{endpoint!r} is no endpoint for OTLP over HTTP; it must begin with http:// or https://."
    for name in ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"):
        if get(name, "http/protobuf") != "http/protobuf":
            yield f"{name} is {get(name)!r}; it must be http/protobuf."
    if not all(map(_installed, _PACKAGES)):
        yield "Tracing is configured, but its packages are not installed (the extra `otel`)."
        return
    yield from _refused_sizes()
    exporters = {"none", "otlp", *(each.name for each in entry_points(group="opentelemetry_traces_exporter"))}
    for exporter in filter(None, (word.strip() for word in get("OTEL_TRACES_EXPORTER", "").split(","))):
        if exporter not in exporters:
            yield f"OTEL_TRACES_EXPORTER names {exporter!r}, which is not installed."
    known = {"none", *(each.name for each in entry_points(group="opentelemetry_propagator"))}
    for propagator in filter(None, (word.strip() for word in get("OTEL_PROPAGATORS", "").split(","))):
        if propagator not in known:
            yield f"OTEL_PROPAGATORS names {propagator!r}, which is not installed."


def _refused_sizes() -> Iterator[str]:
    sizes = {}
    for name, default in _SIZES.items():
        value = os.environ.get(name) or str(default)
        if not value.isdigit() or not int(value):
            yield f"{name} is {value!r}; it must be a whole number from 1."
            return
        sizes[name] = int(value)
    queue, batch, _ = sizes.values()
    if queue < batch:
        yield f"OTEL_BSP_MAX_QUEUE_SIZE ({queue}) is less than OTEL_BSP_MAX_EXPORT_BATCH_SIZE ({batch})."


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package it would lie in
        return False


def use(backend: Tracing) -> None:
    """Trace through `backend` from now on; `traces.opentelemetry.start` calls it."""
    global _active
    _active = backend


def stop(timeout: float = STOP_TIMEOUT) -> None:
    """Send what is queued, for at most `timeout` seconds; what is left is dropped and counted."""
    global _active
    stopping, _active = _active, _OFF
    stopping.stop(timeout)


def open_request(observation: Observation, environ: dict[str, Any]) -> None:
    """Decide what the server span may continue: a page of ours (pages.py), or a trusted proxy's caller.

    `environ` (`request.META`) keeps the headers that say so and loses the others; another caller's trace is linked. The
    span sets trace_id, span_id and sampled of `observation`.
    """
    _active.open_request(observation, environ)


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
    _active.record(name, seconds, kind, attributes, error)


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
    _active.record_remote(name, trace_id, parent_id, start, end, attributes, span_id)


def span(
    name: str,
    *,
    kind: str = "internal",
    attributes: Attributes = {},  # noqa: B006  # never written to
) -> AbstractContextManager[None]:
    """A child span around a block; an exception marks it failed and passes on."""
    return _active.span(name, kind, attributes)


def event(name: str, attributes: Attributes = {}) -> None:  # noqa: B006  # never written to
    """Note something that happened on the current span."""
    _active.event(name, attributes)


def sampled() -> bool:
    """Whether the current request or task is being recorded; what continues it elsewhere should follow suit."""
    return _active.sampled()


def exemplar() -> dict[str, str] | None:
    """`{"trace_id": …}` for an exemplar of a metric, while the current request or task is being recorded."""
    observation = current()
    return {"trace_id": observation.trace_id} if observation is not None and observation.sampled else None


def carrier() -> dict[str, str]:
    """`{"traceparent": ...}` of the current span for whoever continues the work, or nothing."""
    return _active.carrier()


def task(observation: Observation, carrier: Mapping[str, str], attributes: Attributes) -> AbstractContextManager[None]:
    """The span of a background task, linked to the span whose `carrier` deferred it and in the same trace."""
    return _active.task(observation, carrier, attributes)


def traced_query(
    summary: str, seconds: float, error: BaseException | None = None, engine: str = "postgresql", namespace: str = ""
) -> None:
    """The span of one database query. `summary` is bounded, e.g. `SELECT shop_order`; `namespace` is the database."""
    if _active is _OFF:
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
