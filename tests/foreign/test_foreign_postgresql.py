"""Telemetry's five lines in a project on PostgreSQL under gunicorn, with names of its own."""

import os
import threading
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings as ours

from tests.foreign.hosts import Host, build_wheel, start_project
from tests.stack import free_port, wait_for

pytestmark = pytest.mark.alone
SETTINGS = """
import os
from urllib.parse import unquote, urlsplit, parse_qsl
_url = urlsplit(os.environ.get("SHOP_DATABASE", "{url}"))
DATABASES = {{"default": {{
    "ENGINE": "telemetry.postgresql",
    "NAME": "foreign_shop", "USER": unquote(_url.username or ""), "PASSWORD": unquote(_url.password or ""),
    "HOST": unquote(_url.hostname or "") or dict(parse_qsl(_url.query)).get("host", ""), "PORT": _url.port or "",
    "OPTIONS": {{"pool": {{"min_size": 1, "max_size": 2, "timeout": 2}}}},
}}}}
"""
URLS = """
from django.urls import include
from telemetry import events, health, metrics
sold = metrics.counter("shop_sales_total", "Sales.", ("kind",), most=2)
SALE = events.register("sale_made", "info", "Something was sold.")
health.register("warehouse", lambda: "ok", every=1)
def sell(request, kind):
    sold.labels(kind).inc()
    SALE.happened(kind=kind)
    return HttpResponse("sold")
urlpatterns += [path("sell/<slug:kind>/", sell), path("", include("telemetry.urls"))]
"""
GUNICORN = """
from telemetry.gunicorn import *
workers, threads, wsgi_app = 2, 2, "shop.wsgi"
"""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of the tests' own server, with an empty database for the project."""
    url = ours.DATABASE_SERVER_URL
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS foreign_shop WITH (FORCE)")
        connection.execute("CREATE DATABASE foreign_shop")
    yield url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS foreign_shop WITH (FORCE)")


@pytest.fixture(scope="module")
def host(database: str, tmp_path_factory: pytest.TempPathFactory) -> Host:
    wheel = f"{build_wheel(tmp_path_factory.mktemp('wheel'))}[gunicorn,postgresql]"
    directory = tmp_path_factory.mktemp("host")
    host = start_project(directory, wheel, settings=SETTINGS.format(url=database), urls=URLS)
    (directory / "gunicorn.conf.py").write_text(GUNICORN)
    return host


def test_five_lines_name_what_is_wrong_with_a_table_of_the_projects_own(host: Host, database: str) -> None:
    port = free_port()
    serve = host.serving("-m", "gunicorn", "--bind", "127.0.0.1:{port}", METRICS_PORT=str(port))
    with serve, psycopg.connect(database, dbname="foreign_shop") as holder:
        for kind in ("chairs", "tables", "lamps"):
            assert host.get(f"/sell/{kind}/")[0] == 200
        wait_for("the check", lambda: '"warehouse": "ok"' in host.get("/api/health")[2])
        holder.execute("LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE")
        visitors = [threading.Thread(target=host.get, args=(f"/orders/{number}/",)) for number in range(8)]
        for visitor in visitors:
            visitor.start()
        [incident] = wait_for("the incident", lambda: host.lines("incident_opened"), 30)
        holder.rollback()
        for visitor in visitors:
            visitor.join()
        metrics = host.metrics(port)
    assert "`SELECT auth_user`" in incident["message"]
    assert {line["kind"] for line in host.lines("sale_made")} == {"chairs", "tables", "lamps"}
    sold = [line for line in metrics.splitlines() if line.startswith("shop_sales_total{")]
    assert sum(float(line.rpartition(" ")[2]) for line in sold) == 3  # over both workers
    assert 'db_query_duration_seconds_count{query="SELECT auth_user"}' in metrics
    assert os.path.exists(host.directory / "own.log")
