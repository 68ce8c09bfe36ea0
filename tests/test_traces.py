"""Traces as a collector receives them from the running site."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from harness.peers.collector import Collector, Span
from harness.stack import Stack, wait_for
from telemetry.traces import pages
from tests.broken import CANARY
from tests.load import hammer

Start = Callable[..., Stack]
BROKEN = {"DJANGO_SETTINGS_MODULE": "tests.broken.settings", "RELEASE": "r1", "OTEL_SERVICE_NAME": ""}
ATTRIBUTES = {
    "db.collection.name",
    "db.namespace",
    "db.operation.name",
    "db.query.summary",
    "db.system.name",
    "email.messages",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "http.server.request.queued_ms",
    "messaging.system",
    "network.protocol.version",
    "request.id",
    "server.address",
    "server.port",
    "url.full",
    "url.path",
    "url.scheme",
}


def wait_for_span(collector: Collector, name: str) -> Span:
    return wait_for(f"a span {name}", lambda: collector.named(name), 30)[0]


def site_with(stack: Start, collector: Collector, env: dict[str, str] | None = None, **options: Any) -> Stack:
    environment = {key: value for key, value in BROKEN.items() if value}
    return stack(env={**environment, **collector.environment, **(env or {})}, **options)


def test_it_names_the_request_by_its_route_and_what_it_waited_for(stack: Start, collector: Collector) -> None:
    site = site_with(stack, collector)
    assert site.get(f"/broken/queries/?email={CANARY[1]}", headers={"User-Agent": CANARY[0]})[0] == 200
    server = wait_for_span(collector, "GET /broken/queries/")
    assert (server.kind, server.parent_id, server.failed) == ("server", "", False)
    assert server.attributes["http.route"] == "/broken/queries/"
    assert server.attributes["http.response.status_code"] == 200
    assert server.resource["service.name"] == "xfhandyman"
    assert server.resource["service.version"] == "r1"
    assert server.resource["deployment.environment.name"] == "development"
    children = [span for span in collector.trace(server.trace_id) if span is not server]
    assert all(child.parent_id == server.span_id for child in children)
    assert [child.name for child in children].count("db.pool.acquire") == 1
    queries = [child for child in children if child.name == "SELECT bookings_service"]
    assert len(queries) == 2
    for query in queries:
        assert query.kind == "client"
        assert query.attributes.pop("db.namespace")
        assert query.attributes == {
            "db.system.name": "postgresql",
            "db.query.summary": "SELECT bookings_service",
            "db.operation.name": "SELECT",
            "db.collection.name": "bookings_service",
        }
        assert server.start - 0.01 <= query.start <= query.end <= server.end + 0.01
    assert set().union(*(span.attributes for span in collector.spans)) <= ATTRIBUTES
    for secret in CANARY[:2]:
        assert secret not in "".join(collector.text)
    [line] = [line for line in site.log_events("request_finished") if line["route"] == "/broken/queries/"]
    assert (line["trace_id"], line["span_id"], line["trace_sampled"]) == (server.trace_id, server.span_id, True)
    named = {"service.name", "service.version", "deployment.environment.name"}
    assert {name: line[name] for name in named} == {name: server.resource[name] for name in named}
    assert server.attributes["request.id"] == line["request_id"]


def test_it_continues_a_trusted_proxys_trace_and_follows_its_sampling(stack: Start, collector: Collector) -> None:
    site = site_with(stack, collector, {"TRUSTED_PROXIES": "127.0.0.1"})
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    site.get("/broken/fine/unsampled/", headers={"traceparent": f"00-{'1' * 32}-{parent}-00"})
    site.get("/broken/fine/hostile/", headers={"traceparent": "00-" + "z" * 4000})
    caller = {"traceparent": f"00-{trace}-{parent}-01", "tracestate": "shop=alex.example"}
    site.get("/broken/fine/sampled/", headers=caller)
    wait_for("both spans", lambda: collector.named("GET /broken/fine/<what>/")[1:])
    spans = collector.named("GET /broken/fine/<what>/")
    assert {(span.trace_id, span.parent_id) for span in spans} >= {(trace, parent)}
    assert "1" * 32 not in {span.trace_id for span in spans}
    assert "alex.example" not in "".join(collector.text), "free text of the caller"
    assert len(spans) == 2
    unsampled = site.log_events("request_finished")[-3]
    assert unsampled["trace_id"] == "1" * 32, "the log still joins the caller's trace"


STRANGER = {
    "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
    "tracestate": "shop=alex.example",
    "baggage": "name=alex.example,sentry-sampled=true",
    "sentry-trace": f"{'a' * 32}-{'b' * 16}-1",
    "b3": f"{'a' * 32}-{'b' * 16}-1",
    "X-Request-ID": "a" * 32,
    "X-Correlation-ID": "a" * 32,
}
"""Every header by which a caller may claim a trace, or a place in one."""


def test_a_stranger_chooses_neither_trace_nor_sampling(stack: Start, collector: Collector) -> None:
    site = site_with(stack, collector)
    sampled = pages.ticket("c" * 32, sampled=True)
    forged = {"Page-Trace": f"{'d' * 16}-{sampled[:-4]}AAAA"}
    stale = {"Page-Trace": f"{'d' * 16}-{sampled.replace('-01-', '-00-')}"}
    for headers in (STRANGER, forged, stale, {"Page-Trace": "x" * 4000}):
        assert site.get("/broken/fine/stranger/", headers=headers)[0] == 200
    spans = wait_for("the spans", lambda: collector.named("GET /broken/fine/<what>/")[3:]) and collector.spans
    assert not {span.trace_id for span in spans} & {"a" * 32, "c" * 32}
    assert {span.parent_id for span in spans if span.kind == "server"} == {""}
    assert [link for span in spans for link in span.links] == [("a" * 32, "b" * 16)]
    assert "alex" not in "".join(collector.text)
    lines = site.log_events("request_finished")
    assert not {"a" * 32, "c" * 32} & {line.get(key) for line in lines for key in ("trace_id", "request_id")}


def test_a_stranger_gets_nothing_sampled_that_would_not_be(stack: Start, collector: Collector) -> None:
    never = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    site = site_with(stack, collector, never)
    for _ in range(3):
        site.get("/broken/fine/stranger/", headers=STRANGER)
    site.get("/broken/fine/page/", headers={"Page-Trace": f"{'d' * 16}-{pages.ticket('c' * 32, sampled=True)}"})
    wait_for_span(collector, "GET /broken/fine/<what>/")
    assert [(span.trace_id, span.parent_id) for span in collector.spans] == [("c" * 32, "d" * 16)]


def test_a_request_that_failed_is_kept_at_any_sampling_rate(stack: Start, collector: Collector) -> None:
    never = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    site = site_with(stack, collector, never)
    assert site.get("/broken/queries/")[0] == 200
    assert site.get("/broken/raise/kettle/")[0] == 500
    server = wait_for_span(collector, "GET /broken/raise/<what>/")
    assert (server.failed, server.attributes["error.type"]) == (True, "RuntimeError")
    [line] = [line for line in site.log_events("request_finished") if line["status_code"] == 500]
    assert (line["trace_id"], line["trace_sampled"]) == (server.trace_id, True)
    assert not collector.named("GET /broken/queries/")


def test_a_page_vouches_for_so_many_requests_and_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {pages.HEADER: f"{'d' * 16}-{pages.ticket('e' * 32, sampled=False)}"}
    in_address = {"QUERY_STRING": f"start=1&{pages.PARAMETER}={value[pages.HEADER]}"}
    assert pages.continued("GET", value) == pages.continued("POST", in_address) == f"00-{'e' * 32}-{'d' * 16}-00"
    assert pages.continued("GET", in_address) == ""
    answers = [pages.continued("GET", value) for _ in range(pages.MOST)]
    assert answers.count("") == 2
    fresh = {pages.HEADER: f"{'d' * 16}-{pages.ticket('f' * 32, sampled=False)}"}
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + pages.MAX_AGE + 2)
    assert pages.continued("GET", fresh) == ""


def test_it_does_not_trace_probes_metrics_or_files(stack: Start, collector: Collector) -> None:
    site = site_with(stack, collector)
    for path in ("/livez", "/readyz", "/api/health", "/metrics", "/static/build/site.css"):
        site.get(path)
    site.get("/broken/fine/last/")
    wait_for_span(collector, "GET /broken/fine/<what>/")
    assert {span.name for span in collector.spans} == {"GET /broken/fine/<what>/"}


def test_it_samples_as_the_standard_variables_say(stack: Start, collector: Collector) -> None:
    site = site_with(
        stack,
        collector,
        {
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0",
            "TRUSTED_PROXIES": "127.0.0.1",
        },
    )
    site.get("/broken/queries/")
    site.get("/broken/fine/sampled/", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    wait_for_span(collector, "GET /broken/fine/<what>/")
    assert len(collector.spans) == 1


def test_it_shows_a_wait_for_the_pool_that_was_given_up(stack: Start, collector: Collector) -> None:
    site = site_with(stack, collector, {"DB_POOL_MAX_SIZE": "1", "DB_POOL_TIMEOUT": "0.3"})
    holder = threading.Thread(target=site.get, args=("/broken/hold/",))
    holder.start()
    wait_for("the connection to be held", lambda: site.get("/broken/queries/")[0] == 503, 5)
    holder.join()
    failed = wait_for("the failed wait", lambda: [s for s in collector.named("db.pool.acquire") if s.failed])[0]
    assert failed.attributes["error.type"] == "PoolTimeout"
    assert 0.25 < failed.end - failed.start < 1.5
    server = wait_for("its request", lambda: [s for s in collector.spans if s.span_id == failed.parent_id])[0]
    assert (server.failed, server.attributes["error.type"]) == (True, "OperationalError")


def test_it_carries_the_trace_to_other_servers_and_keeps_the_url_to_itself(stack: Start, collector: Collector) -> None:
    seen: list[str | None] = []

    class Peer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("traceparent"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Peer) as peer:
        threading.Thread(target=peer.serve_forever, args=(0.05,), daemon=True).start()
        site = site_with(stack, collector, {"PEER": f"http://127.0.0.1:{peer.server_port}/private/"})
        assert site.get("/broken/fetch/")[0] == 200
        peer.shutdown()
    server = wait_for_span(collector, "GET /broken/fetch/")
    [client] = [span for span in collector.trace(server.trace_id) if span.kind == "client"]
    assert (client.name, client.parent_id) == ("GET", server.span_id)
    assert client.attributes["http.response.status_code"] == 200
    assert set(client.attributes) <= ATTRIBUTES
    assert "private" not in "".join(collector.text)
    assert [(heard or "")[:-2] for heard in seen] == [f"00-{server.trace_id}-{client.span_id}-"]
    assert int((seen[0] or "")[-2:], 16) & 1, "it is sampled"
    assert client.attributes["url.full"] == f"http://127.0.0.1:{peer.server_port}/"


def test_it_links_a_task_to_the_request_that_deferred_it(stack: Start, collector: Collector) -> None:
    site = site_with(stack, collector, worker=True)
    assert site.get("/broken/defer/working/")[0] == 200
    task = wait_for_span(collector, "working_task")
    server = wait_for_span(collector, "GET /broken/defer/<task>/")
    assert task.trace_id == server.trace_id
    assert (task.kind, task.links) == ("consumer", [(server.trace_id, task.parent_id)])
    [sent] = [span for span in collector.trace(server.trace_id) if span.span_id == task.parent_id]
    assert (sent.name, sent.kind) == ("send working_task", "producer")
    assert sent.attributes == {
        "messaging.system": "procrastinate",
        "messaging.destination.name": "default",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
    }
    assert task.resource["service.name"] == "xfhandyman-worker"
    assert {
        "messaging.system": "procrastinate",
        "messaging.destination.name": "default",
        "messaging.operation.type": "process",
        "messaging.procrastinate.attempt": 1,
    }.items() <= task.attributes.items()
    assert task.attributes["messaging.message.id"].isdigit()
    assert task.attributes["request.id"] == server.attributes["request.id"]
    wait_for(
        "the task's query",
        lambda: [s for s in collector.named("SELECT bookings_service") if s.parent_id == task.span_id],
    )


def test_a_recycled_worker_loses_no_span(stack: Start, collector: Collector) -> None:
    site = site_with(
        stack,
        collector,
        {
            "OTEL_BSP_SCHEDULE_DELAY": "600000",  # nothing leaves but at a full batch or at the end
            "GUNICORN_CMD_ARGS": "--max-requests 50 --max-requests-jitter 20",
        },
        workers=2,
    )
    statuses, _ = hammer(f"{site.url}/broken/fine/recycled/", 300)
    assert statuses == [200] * 300
    site.stop()
    lines = [line for line in site.log_events("request_finished") if line["route"] == "/broken/fine/<what>/"]
    assert len({line["pid"] for line in lines}) > 3, "no worker was recycled"
    assert len(lines) >= 300
    assert len(collector.named("GET /broken/fine/<what>/")) == len(lines)
