"""OpenTelemetry as its documentation describes it: its API in a view, its variables, its Django instrumentation."""

from collections.abc import Callable

import opentelemetry.semconv.attributes as stable
import pytest

from harness.peers.collector import Collector, Span
from harness.stack import Stack, wait_for

StartStack = Callable[..., Stack]
EXTENDED = {"DJANGO_SETTINGS_MODULE": "tests.packages.settings"}


def traced(site: Stack, collector: Collector) -> tuple[Span, list[Span]]:
    """The server span of the page that uses OpenTelemetry's API, and the others of its trace."""
    assert site.get("/traced/") == (200, "True")
    [server] = wait_for("the server's span", lambda: collector.named("GET /traced/"))
    return server, [span for span in collector.trace(server.trace_id) if span is not server]


def test_what_a_view_notes_on_the_current_span_arrives(stack: StartStack, collector: Collector) -> None:
    site = stack(env={**EXTENDED, **collector.environment})
    server, others = traced(site, collector)
    assert server.attributes["shop.basket"] == 17
    assert server.events == ["priced", "exception"]
    assert "Morgan" not in "".join(collector.text)
    assert "LookupError" in "".join(collector.text)
    [own] = [span for span in others if span.name == "price"]
    assert own.parent_id == server.span_id
    assert {"shop.rule": "winter", "shop.discount": 0.5}.items() <= own.attributes.items()
    [query] = [span for span in others if span.name == "SELECT bookings_service"]
    assert query.parent_id == own.span_id


def test_a_third_partys_processor_sees_all_spans(stack: StartStack, collector: Collector) -> None:
    site = stack(env={**EXTENDED, **collector.environment})
    for _ in range(2):
        traced(site, collector)
    seen = set(site.get("/seen/")[1].splitlines())
    assert {"SERVER GET /traced/", "INTERNAL price", "CLIENT SELECT bookings_service"} <= seen


def test_the_standard_variables_do_what_they_say(stack: StartStack, collector: Collector) -> None:
    site = stack(
        env={
            **EXTENDED,
            **collector.environment,
            "OTEL_TRACES_EXPORTER": "otlp,console",
            "OTEL_RESOURCE_ATTRIBUTES": "shop.region=north,deployment.environment.name=staging",
            "OTEL_SPAN_EVENT_COUNT_LIMIT": "1",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_PYTHON_DJANGO_EXCLUDED_URLS": "services,contact",
        }
    )
    assert site.get("/services/")[0] == 200
    server, _ = traced(site, collector)
    assert server.events == ["exception"], "the limit keeps the latest"
    assert server.resource["shop.region"] == "north"
    assert server.resource["deployment.environment.name"] == "staging"
    assert not collector.named("GET /services/")
    assert '"name": "GET /traced/"' in site.log_text


def test_none_exports_nothing_and_still_records(stack: StartStack, collector: Collector) -> None:
    site = stack(env={**EXTENDED, **collector.environment, "OTEL_TRACES_EXPORTER": "none"})
    for _ in range(2):
        assert site.get("/traced/") == (200, "True")
    assert "SERVER GET /traced/" in site.get("/seen/")[1]
    site.stop()
    assert not collector.spans


def test_a_failed_page_says_what_failed(stack: StartStack, collector: Collector) -> None:
    site = stack(env={**EXTENDED, **collector.environment})
    assert site.get("/broken/raise/kettle/")[0] == 500
    [server] = wait_for("the span", lambda: collector.named("GET /broken/raise/<what>/"))
    assert (server.failed, server.attributes["error.type"]) == (True, "RuntimeError")
    assert "kettle" not in "".join(collector.text)


@pytest.mark.parametrize("path", ["/traced/", "/saves/"])
def test_its_attributes_are_the_stable_conventions(stack: StartStack, collector: Collector, path: str) -> None:
    known = {
        value
        for name in ("db", "error", "http", "network", "server", "url")
        for key, value in vars(__import__(f"{stable.__name__}.{name}_attributes", fromlist=["*"])).items()
        if key.isupper() and isinstance(value, str)
    }
    site = stack(env={**EXTENDED, **collector.environment})
    assert site.get(path)[0] == 200
    [server] = wait_for("the span", lambda: collector.named(f"GET {path}"))
    queries = [span for span in collector.trace(server.trace_id) if span.kind == "client"]
    ours = {"request.id", "http.server.request.queued_ms"}
    for span in [server, *queries]:
        said = {name for name in span.attributes if not name.startswith("shop.")}
        assert said - ours <= known, span.name
    assert {
        "http.request.method",
        "url.scheme",
        "url.path",
        "server.address",
        "server.port",
    } <= server.attributes.keys()
    assert {"http.route", "http.response.status_code", "network.protocol.version"} <= server.attributes.keys()
    assert server.attributes["url.path"] == server.attributes["http.route"] == path
    for query in queries:
        assert {"db.system.name", "db.namespace", "db.operation.name", "db.query.summary"} <= query.attributes.keys()
    if path == "/saves/":
        assert "COMMIT" in {span.name for span in queries}
