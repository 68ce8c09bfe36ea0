"""Telemetry's five lines in a project on PostgreSQL under gunicorn, with names of its own."""

import threading
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Page

from harness.peers.collector import Collector, running_collector
from harness.peers.envelopes import Envelopes, running_envelopes
from harness.stack import free_port, wait_for
from tests.foreign.hosts import Host, start_project

pytestmark = pytest.mark.waits
SETTINGS = """
from urllib.parse import unquote, urlsplit, parse_qsl
_url = urlsplit("{url}")
_place = {{
    "ENGINE": "telemetry.postgresql",
    "USER": unquote(_url.username or ""), "PASSWORD": unquote(_url.password or ""),
    "HOST": unquote(_url.hostname or "") or dict(parse_qsl(_url.query)).get("host", ""), "PORT": _url.port or "",
}}
_pool = {{"min_size": 1, "max_size": 2, "timeout": 2}}
DATABASES = {{
    "default": {{**_place, "NAME": "foreign_shop", "OPTIONS": {{"pool": _pool}}}},
    "archive": {{**_place, "NAME": "foreign_archive", "OPTIONS": {{"pool": {{"max_size": 4}}}}}},
    "unused": {{**_place, "NAME": "foreign_unused", "OPTIONS": {{"pool": True}}}},
}}
"""
URLS = """
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.db import connections
from django.template import engines
from django.urls import include
from telemetry import events, health, metrics
sold = metrics.counter("shop_sales_total", "Sales.", ("kind",), most=2)
SALE = events.register("sale_made", "info", "Something was sold.")
health.register("warehouse", lambda: "ok", every=1)
def sell(request, kind):
    sold.labels(kind).inc()
    SALE.happened(kind=kind)
    return HttpResponse("sold")
def shelf(request, name):
    page = engines["django"].from_string("{% load rum %}<head>{% rum_beacon %}</head><body><h1>Shelf</h1></body>")
    return HttpResponse(page.render({}, request))
def old(request):
    with connections["archive"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM item")
        return HttpResponse(str(cursor.fetchone()[0]))
urlpatterns += [path("old/", old)]
urlpatterns += [path("sell/<slug:kind>/", sell), path("shelf/<slug:name>/", shelf), path("", include("telemetry.urls"))]
urlpatterns += staticfiles_urlpatterns()
"""
GUNICORN = """
from telemetry.gunicorn import *
import prometheus_client
workers, threads, wsgi_app = 2, 2, "shop.wsgi"
def when_ready(server):
    server.log.info("the shop opens")
def child_exit(server, worker):
    server.log.info("somebody goes home")
"""
COMMAND = ("-m", "gunicorn", "--bind", "127.0.0.1:{port}")
ORDERS = "/orders/<number>/"


@dataclass
class Shop:
    """The project while it is served, and where it sends its spans and error reports."""

    host: Host
    collector: Collector
    envelopes: Envelopes
    metrics_port: int

    def count(self, series: str) -> float:
        """The sum of the series that begin so, over both workers."""
        found = [line for line in self.host.metrics(self.metrics_port).splitlines() if line.startswith(series)]
        return sum(float(line.rpartition(" ")[2]) for line in found)


@pytest.fixture(scope="module")
def host(wheel: Path, database: str, tmp_path_factory: pytest.TempPathFactory) -> Host:
    directory = tmp_path_factory.mktemp("host")
    needed = f"{wheel}[gunicorn,postgresql,otel,sentry]"
    host = start_project(directory, needed, settings=SETTINGS.format(url=database), urls=URLS)
    (directory / "gunicorn.conf.py").write_text(GUNICORN)
    return host


@pytest.fixture(scope="module")
def shop(host: Host) -> Iterator[Shop]:
    port = free_port()
    with running_collector() as collector, running_envelopes() as envelopes:
        sinks = {**collector.environment, **envelopes.environment}
        with (host.directory / "shop" / "settings.py").open("a") as module:
            module.write(f'TELEMETRY = {{"METRICS_PORT": {port}, "RUM_COUNT_AUTOMATION": True}}')
        with host.serving(*COMMAND, **sinks):
            yield Shop(host, collector, envelopes, port)


def test_a_request_is_a_line_a_count_and_a_trace(shop: Shop) -> None:
    status, headers, body = shop.host.get("/orders/7/")
    assert (status, body) == (200, "0")
    own = headers["X-Request-ID"]
    [line] = wait_for("the line", lambda: [x for x in shop.host.lines("request_finished") if x["request_id"] == own])
    assert (line["route"], line["status_code"], line["db_queries"]) == (ORDERS, 200, 1)
    [counted] = [line for line in shop.host.lines("orders are counted") if line["request_id"] == own]
    assert counted["number"] == 7
    assert "orders are counted" in (shop.host.directory / "own.log").read_text()
    assert shop.count(f'http_requests_total{{method="GET",route="{ORDERS}",status="200"}}') == 1
    assert shop.count('db_query_duration_seconds_count{query="SELECT auth_user"}') >= 1
    of_default = 'db_pool_max_size{database="default"}'
    wait_for("the pool", lambda: shop.count(of_default) in (2, 4))  # two of each worker that has asked
    [server] = wait_for("the span", lambda: shop.collector.named(f"GET {ORDERS}"))
    query = next(span for span in shop.collector.trace(server.trace_id) if span.name == "SELECT auth_user")
    assert (server.trace_id, server.attributes["request.id"]) == (line["trace_id"], own)
    assert (query.parent_id, query.kind) == (server.span_id, "client")
    assert server.resource["service.name"] == "shop"


def test_the_hosts_settings_and_hooks_count_in_the_servers_parent_too(shop: Shop) -> None:
    [served] = wait_for("the metrics", lambda: shop.host.lines("metrics_served"))
    assert (served["port"], served["service.name"]) == (shop.metrics_port, "shop")
    assert shop.host.lines("the shop opens")


def test_an_error_is_one_report_and_one_stack(shop: Shop) -> None:
    status, headers, _ = shop.host.get("/broken/")
    assert status == 500
    [failed] = wait_for("the line", lambda: shop.host.lines("request_failed"))
    assert (failed["error_type"], failed["request_id"]) == ("RuntimeError", headers["X-Request-ID"])
    wait_for("the report", lambda: shop.envelopes.events)
    shop.host.get("/orders/8/")
    wait_for("its end", lambda: [line for line in shop.host.lines("request_finished") if line["status_code"] == 500])
    [event] = shop.envelopes.events
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert (event["transaction"], event["tags"]["request_id"]) == ("/broken/", headers["X-Request-ID"])
    assert "the till is closed" in (shop.host.directory / "own.log").read_text()  # Django's own report of it


def test_a_browser_reports_what_it_measured(shop: Shop, page: Page) -> None:
    known = len(shop.host.lines("page_view"))
    accepted, timed = (
        'rum_beacons_total{outcome="accepted"}',
        'rum_ttfb_seconds_count{device="desktop",route="/shelf/<name>/"}',
    )
    before = {name: shop.count(name) for name in (accepted, timed)}
    page.goto(f"{shop.host.url}/shelf/left/")
    page.goto("about:blank")
    [view] = wait_for("the page view", lambda: shop.host.lines("page_view")[known:], 30)
    assert view["route"] == "/shelf/<name>/"
    once = {accepted: 1, timed: 1}
    wait_for("the counts", lambda: {name: shop.count(name) - count for name, count in before.items()} == once)


def test_probes_answer_by_address(shop: Shop) -> None:
    for path, expected in (("/livez", 200), ("/readyz", 200), ("/api/health", 200), ("/metrics", 404)):
        assert shop.host.get(path, Host="10.0.0.7")[0] == expected, path


def test_what_the_project_declares_is_reported(shop: Shop) -> None:
    for kind in ("chairs", "tables", "lamps"):
        assert shop.host.get(f"/sell/{kind}/")[0] == 200
    wait_for("the check", lambda: '"warehouse": "ok"' in shop.host.get("/api/health")[2])
    assert {line["kind"] for line in shop.host.lines("sale_made")} == {"chairs", "tables", "lamps"}
    assert shop.count("shop_sales_total{") == 3  # over both workers


def test_what_is_wrong_with_a_table_of_the_projects_own_is_named(shop: Shop, database: str) -> None:
    with psycopg.connect(database, dbname="foreign_shop") as holder:
        holder.execute("LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE")
        visitors = [threading.Thread(target=shop.host.get, args=(f"/orders/{number}/",)) for number in range(8)]
        for visitor in visitors:
            visitor.start()
        [incident] = wait_for("the incident", lambda: shop.host.lines("incident_opened"), 30)
        holder.rollback()
        for visitor in visitors:
            visitor.join()
    assert "`SELECT auth_user`" in incident["message"]


def test_another_database_is_named_by_its_alias(shop: Shop, database: str) -> None:
    with psycopg.connect(database, dbname="foreign_archive") as holder:
        holder.execute("CREATE TABLE item (id int)")
        holder.commit()
        assert shop.host.get("/old/")[2] == "0"
        wait_for("the check", lambda: '"archive": "ok"' in shop.host.get("/api/health")[2])
        before = len(shop.host.lines("incident_opened"))
        holder.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        visitors = [threading.Thread(target=shop.host.get, args=("/old/",)) for _ in range(8)]
        for visitor in visitors:
            visitor.start()
        [incident] = wait_for("the incident", lambda: shop.host.lines("incident_opened")[before:], 30)
        holder.rollback()
        for visitor in visitors:
            visitor.join()
    assert "`SELECT item on archive`" in incident["message"]
    assert "waiting for a lock held by another session" in incident["message"]
    metrics = shop.host.metrics(shop.metrics_port)
    assert 'db_query_duration_seconds_count{query="SELECT item on archive"}' in metrics
    assert shop.count('db_pool_max_size{database="archive"}') in (4, 8)
    assert '"unused": "disabled"' in shop.host.get("/api/health")[2]
    assert 'database="unused"' not in metrics


def test_an_application_that_is_loaded_before_the_fork_is_observed_alike(host: Host) -> None:
    port, asked = free_port(), 12
    with running_collector() as collector:
        with host.serving(*COMMAND, "--preload", METRICS_PORT=str(port), **collector.environment):
            for number in range(asked):
                assert host.get(f"/orders/{number}/")[0] == 200
            pids = {line["pid"] for line in host.lines("request_finished")}
            metrics = host.metrics(port)
            assert host.get("/readyz", Host="10.0.0.7")[0] == 200
            wait_for("the spans", lambda: len(collector.named(f"GET {ORDERS}")) == asked)
        assert {span.resource["process.pid"] for span in collector.named(f"GET {ORDERS}")} <= {*pids, *map(str, pids)}
    assert f'http_requests_total{{method="GET",route="{ORDERS}",status="200"}} {asked}.0' in metrics
    assert not host.lines("telemetry_failed")


def test_it_leaves_no_trace_when_it_is_off(host: Host) -> None:
    port = free_port()
    with running_collector() as collector, running_envelopes() as envelopes:
        sinks = {**collector.environment, **envelopes.environment}
        with host.serving(*COMMAND, TELEMETRY="off", METRICS_PORT=str(port), **sinks):
            status, headers, _ = host.get("/orders/7/")
            assert (status, "X-Request-ID" in headers) == (200, False)
            assert host.get("/broken/")[0] == 500
            assert "rum.js" not in host.get("/shelf/left/")[2]
            assert host.get("/readyz", Host="10.0.0.7")[0] == 200
            with pytest.raises(urllib.error.URLError):
                host.metrics(port)
        assert not host.lines("request_finished")
        assert (collector.spans, envelopes.events) == ([], [])
