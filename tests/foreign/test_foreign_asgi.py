"""The server span of a project under ASGI: as under WSGI, and as little for strangers to choose."""

from pathlib import Path

import pytest

from harness.peers.collector import Collector
from harness.stack import wait_for
from tests.foreign.hosts import start_project

pytestmark = pytest.mark.waits
SERVER = ("-m", "uvicorn", "shop.asgi:application", "--port", "{port}", "--log-level", "warning")
PACKAGES = (
    "uvicorn>=0.30,<1",
    "opentelemetry-sdk~=1.45.0",
    "opentelemetry-exporter-otlp-proto-http~=1.45.0",
    "opentelemetry-instrumentation-asgi",
    "opentelemetry-instrumentation-django",
    "opentelemetry-instrumentation-requests",
)


def test_the_server_span_is_that_of_wsgi(wheel: Path, tmp_path: Path, collector: Collector) -> None:
    host = start_project(tmp_path, wheel, *PACKAGES)
    stranger = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "shop=alex", "baggage": "name=alex"}
    with host.serving(*SERVER, **collector.environment):
        assert host.get("/orders/7/?name=alex", **stranger)[0] == 200
        assert host.get("/later/")[0] == 200
        assert host.get("/broken/")[0] == 500
        wait_for("the spans", lambda: collector.named("GET /broken/"), 30)
    [server] = collector.named("GET /orders/<number>/")
    assert (server.kind, server.parent_id, server.failed) == ("server", "", False)
    assert server.trace_id != "a" * 32
    assert server.links == [("a" * 32, "b" * 16)]
    assert server.attributes["http.route"] == server.attributes["url.path"] == "/orders/<number>/"
    assert server.attributes["http.response.status_code"] == 200
    assert {"http.request.method", "url.scheme", "server.port"} <= server.attributes.keys()
    assert server.attributes["server.address"] == "127.0.0.1"
    for name in ("GET /orders/<number>/", "GET /later/"):
        above = collector.named(name)[-1]  # the server was asked for one until it answered
        queries = [span for span in collector.trace(above.trace_id) if span.name == "SELECT auth_user"]
        assert [query.parent_id for query in queries] == [above.span_id], name
    [broken] = collector.named("GET /broken/")
    assert (broken.failed, broken.attributes["error.type"]) == (True, "RuntimeError")
    [line] = [line for line in host.lines("request_finished") if line["route"] == "/orders/<number>/"]
    assert (line["trace_id"], line["span_id"]) == (server.trace_id, server.span_id)
    assert "alex" not in "".join(collector.text)
    assert "the till is closed" not in "".join(collector.text)
