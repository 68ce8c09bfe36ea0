"""Our encoding of spans, and our spans of what has ended, are what OpenTelemetry's SDK would have made."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from telemetry.traces import otlp
from telemetry.traces.finished import Finished, Processors

RESOURCES = [Resource({"service.name": "shop", "process.pid": 7}), Resource({}, "https://example.com/schema")]
SCOPES = [InstrumentationScope("telemetry", "1", "https://example.com/1"), InstrumentationScope("other"), None]

numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(2**63, 2**70)
plain = st.text(max_size=300) | st.booleans() | numbers | st.floats(allow_nan=False) | st.just("\ud800")
values = plain | st.lists(st.text(max_size=9), max_size=3) | st.binary(max_size=9) | st.none()
attributes = st.dictionaries(st.text(max_size=60), plain, max_size=5) | st.dictionaries(st.text(max_size=9), values)
times = st.none() | st.integers(0, 2**63)
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(3)]),
    st.sampled_from([TraceState(), TraceState([("shop", "1")])]),
)
spans = st.builds(
    ReadableSpan,
    st.text(max_size=300),
    contexts,
    st.none() | contexts,
    st.sampled_from(RESOURCES),
    st.none() | attributes,
    st.just(()) | st.lists(st.builds(Event, st.text(max_size=9), attributes, st.integers(1, 2**63)), max_size=2),
    st.just(()) | st.lists(st.builds(Link, contexts, attributes), max_size=2),
    kind=st.sampled_from(SpanKind),
    status=st.sampled_from([*map(Status, StatusCode), Status(StatusCode.ERROR, "why")]),
    start_time=times,
    end_time=times,
    instrumentation_scope=st.sampled_from(SCOPES),
)


@settings(max_examples=50)
@given(st.lists(spans, max_size=4))
def test_a_collector_reads_what_the_sdk_would_have_sent(batch: list[ReadableSpan]) -> None:
    read = ExportTraceServiceRequest.FromString(otlp.encoded(batch).SerializePartialToString())
    assert read == encode_spans(batch)


def test_values_that_are_equal_in_python_stay_what_they_are() -> None:
    said = {"a": 1, "b": True, "c": 1.0, "d": 0, "e": False}
    batch = [ReadableSpan("n", SpanContext(1, 1, False), None, RESOURCES[0], {k: v}) for k, v in said.items()] * 2
    assert ExportTraceServiceRequest.FromString(otlp.encoded(batch).body) == encode_spans(batch)


class Provider:
    """A provider of the SDK with our processors, and what it exports."""

    def __init__(self, sampler: sampling.Sampler | None = None) -> None:
        self.exported = InMemorySpanExporter()
        self.processors = Processors([SimpleSpanProcessor(self.exported)])
        self.sdk = TracerProvider(sampler, RESOURCES[0], active_span_processor=self.processors, shutdown_on_exit=False)
        self.tracer = self.sdk.get_tracer("telemetry", "1", "https://example.com/1")
        self.finished = Finished(self.sdk, self.processors, self.tracer, SCOPES[0])  # type: ignore[arg-type]

    def query(self, said: dict[str, Any], error: BaseException | None = None) -> ReadableSpan | None:
        """The span of a query on a page, if there is one."""
        self.exported.clear()
        with self.tracer.start_as_current_span("page") as page:
            self.finished.add(page, "SELECT shop_order", 0.25, "client", said, error)
        return next((span for span in self.exported.get_finished_spans() if span.name != "page"), None)


def told(span: ReadableSpan | None) -> dict[str, Any]:
    """Everything of a span but its ids and its times."""
    assert span is not None
    assert span.start_time
    assert span.end_time
    parent, context = span.parent, span.context
    assert parent is not None
    assert context is not None
    return {
        "name": span.name,
        "kind": span.kind,
        "attributes": dict(span.attributes or {}),
        "status": (span.status.status_code, span.status.description),
        "rest": (span.events, span.links, span.resource, span.instrumentation_scope),
        "length": span.end_time - span.start_time,
        "flags": context.trace_flags,
        "state": context.trace_state,
        "below": (context.trace_id == parent.trace_id, context.is_remote, context.span_id != parent.span_id),
    }


def test_a_span_of_what_has_ended_is_the_one_a_tracer_makes() -> None:
    said = {"db.query.summary": "SELECT shop_order", "rows": 3}
    for error in (None, ValueError("of Morgan")):
        ours, theirs = Provider(), Provider()
        theirs.sdk.add_span_processor(SpanProcessor())
        assert told(ours.query(said, error)) == told(theirs.query(said, error))


def test_a_processor_of_the_project_sees_such_spans_begin() -> None:
    began: list[str] = []

    class Watching(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            began.append(span.name)

    provider = Provider()
    provider.query({})
    provider.sdk.add_span_processor(Watching())
    provider.query({})
    assert began == ["page", "SELECT shop_order"]


def test_a_sampler_of_the_project_judges_such_spans() -> None:
    class Never(sampling.ParentBased):
        """Samples pages, and no query."""

    provider = Provider(Never(sampling.ALWAYS_ON, local_parent_sampled=sampling.ALWAYS_OFF))
    assert provider.query({}) is None


def test_limits_hold_for_such_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "6")
    query = Provider().query({"db.query.summary": "SELECT shop_order"})
    assert query is not None
    assert query.attributes == {"db.query.summary": "SELECT"}
