"""Spans on their way out: without what is personal, counted where they are lost, and not waited for.

The SDK's queue and the exporters of OTEL_TRACES_EXPORTER carry them. Spans of libraries' instrumentations keep the
attributes of an allow-list, and those that the project has set under a name of its own; the project's spans keep all
that its developers set. Texts of exceptions leave in no span.
"""

import random
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status

from telemetry.traces import configuration, otlp
from telemetry.traces.batches import Bounded, CountingExporter, installed_exporter

_FROM_INSTRUMENTATIONS = {
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "http.server.request.queued_ms",
    "network.protocol.version",
    "request.id",
    "server.address",
    "server.port",
    "url.scheme",
}
"""What a library's own instrumentation may say; its URLs, addresses and user agents are customers'."""
_CONVENTION_PREFIXES = (
    "http.",
    "url.",
    "client.",
    "user_agent.",
    "user.",
    "net.",
    "network.",
    "server.",
    "peer.",
    "exception.",
)
"""Where the conventions put what an instrumentation of HTTP says; other names on its span are the project's."""
_INSTRUMENTATION = "opentelemetry.instrumentation."
_TEXTS = {"exception.message", "exception.stacktrace"}
_FRAME = re.compile(r'^  File "[^"]*", line \d+, in \S+$', re.MULTILINE)


def processors() -> list["BoundedProcessor"]:
    """One for each exporter that OTEL_TRACES_EXPORTER names; OTLP by default. Their threads begin."""
    return [BoundedProcessor(CleaningExporter(_exporter(name))) for name in configuration.exporters()]


def otlp_over_http() -> trace_exporter.OTLPSpanExporter:
    """The exporter of the environment's variables; a collector gets less time than by default."""
    # The same bytes for less CPU; docs/private-names.md.
    trace_exporter.encode_spans = otlp.encoded  # type: ignore[assignment, attr-defined]  # the exporter asks it for bytes alone
    return trace_exporter.OTLPSpanExporter(timeout=configuration.timeout())


def _exporter(name: str) -> SpanExporter:
    if name == "otlp_proto_http":
        return otlp_over_http()
    exporter: SpanExporter = installed_exporter("traces", name)
    return exporter


def new_id() -> int:
    """An id for a span whose own is not known."""
    return random.getrandbits(64) or 1


class CleaningExporter(CountingExporter, SpanExporter):
    """Takes away what may be personal before it hands on."""

    pipeline = "traces"

    def leaving(self, batch: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        return [cleaned(span) for span in batch]


class BoundedProcessor(Bounded, BatchSpanProcessor):
    """Takes what the sampler keeps."""

    pipeline = "traces"

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        if span.parent is None and span.kind is SpanKind.CLIENT:
            return  # a call outside of requests and tasks: a background check's
        self.count_full()
        self._batch_processor.emit(span)


def cleaned(span: ReadableSpan) -> ReadableSpan:
    """The span as it may leave; itself where nothing of it is in question."""
    foreign = span.instrumentation_scope is not None and span.instrumentation_scope.name.startswith(_INSTRUMENTATION)
    if not (foreign or span.status.description or any(map(_has_texts, span.events))):
        return span
    attributes: dict[str, Any] = dict(span.attributes or {})
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_allowed(attributes) if foreign else attributes,
        events=[_without_texts(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _allowed(attributes: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in attributes.items()
        if name in _FROM_INSTRUMENTATIONS or not name.startswith(_CONVENTION_PREFIXES)
    }
    if kept.get("http.route"):
        kept["url.path"] = kept["http.route"]
    if "server.port" in kept:  # which the instrumentation of ASGI leaves in the address, too
        kept["server.address"] = str(kept.get("server.address", "")).removesuffix(f":{kept['server.port']}")
    if "url.full" in attributes:  # of an outgoing call: where to, without path and query
        parts = urlsplit(str(attributes["url.full"]))
        port = f":{parts.port}" if parts.port else ""
        kept["url.full"] = f"{parts.scheme}://{parts.hostname}{port}/"
    return kept


def _has_texts(event: Event) -> bool:
    return not _TEXTS.isdisjoint(event.attributes or ())


def _without_texts(event: Event) -> Event:
    if not _has_texts(event):
        return event
    attributes = dict(event.attributes or {})
    attributes.pop("exception.message", None)
    frames = _FRAME.findall(str(attributes.pop("exception.stacktrace", "")))
    if frames:
        attributes["exception.stacktrace"] = "\n".join(frames)
    return Event(event.name, attributes, event.timestamp)
