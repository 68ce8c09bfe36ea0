"""Which requests and tasks are kept although the sampler has dropped their trace."""

from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext

from telemetry.context import Observation
from telemetry.traces.tail import MOST, SLOW, SLOW_TASK, Tail


class Kept:
    """A tail, and what it keeps."""

    def __init__(self) -> None:
        self.exported = InMemorySpanExporter()
        scope, resource = InstrumentationScope("telemetry"), Resource({"service.name": "shop"})
        self.tail = Tail([SimpleSpanProcessor(self.exported)], resource, scope, RandomIdGenerator())

    def decide(self, observation: Observation, seconds: float, failed: bool = False) -> dict[str, ReadableSpan]:
        self.tail.note(observation, "SELECT shop_order", 0.25, "client", {"db.system.name": "postgresql"}, "")
        self.tail.note(observation, "db.pool.acquire", 0.1, "internal", {}, "PoolTimeout")
        kept = self.tail.decide(observation, seconds, failed, SpanContext(1, 2, is_remote=True))
        spans = {span.name: span for span in self.exported.get_finished_spans()}
        assert kept is bool(spans)
        return spans


def observed(**given: Any) -> Observation:
    about = {"method": "GET", "route": "/orders/", "trace_id": f"{5:032x}", "span_id": f"{6:016x}", **given}
    return Observation("the-request-0001", **about)


def test_a_request_that_failed_is_kept_with_what_it_waited_for() -> None:
    observation = observed(status=500, error=LookupError("Morgan Canary"))
    spans = Kept().decide(observation, 0.5, failed=True)
    server, query, wait = spans["GET /orders/"], spans["SELECT shop_order"], spans["db.pool.acquire"]
    assert (server.kind.name, server.status.status_code.name) == ("SERVER", "ERROR")
    assert server.attributes == {
        "request.id": "the-request-0001",
        "http.request.method": "GET",
        "http.response.status_code": 500,
        "http.route": "/orders/",
        "url.path": "/orders/",
        "error.type": "LookupError",
    }
    assert (server.context.trace_id, server.context.span_id, server.parent.span_id) == (5, 6, 2)  # type: ignore[union-attr]
    assert query.parent == wait.parent == server.context
    assert all(span.context.trace_flags.sampled for span in spans.values())
    assert round((server.end_time or 0) - (server.start_time or 0), -6) == 500_000_000
    assert (query.status.status_code.name, wait.status.status_code.name) == ("UNSET", "ERROR")


@pytest.mark.parametrize(
    ("about", "seconds", "kept"),
    [
        ({}, SLOW - 0.1, False),
        ({}, SLOW, True),
        ({"queued": SLOW}, 0.1, True),
        ({"kind": "task", "route": "shop.ship"}, SLOW, False),
        ({"kind": "task", "route": "shop.ship"}, SLOW_TASK, True),
        ({"trace_id": ""}, SLOW, False),
    ],
)
def test_a_slow_one_is_kept(about: dict[str, Any], seconds: float, kept: bool) -> None:
    assert bool(Kept().decide(observed(**about), seconds)) is kept


def test_what_is_listed_is_bounded() -> None:
    kept, observation = Kept(), observed()
    for _ in range(3 * MOST):
        kept.tail.note(observation, "SELECT shop_order", 0.01, "client", {}, "")
    kept.decide(observation, SLOW)
    assert len(kept.exported.get_finished_spans()) == MOST + 1
