"""Telemetry in projects that are not ours: what two lines of settings give."""

import json
from pathlib import Path

import pytest

from harness.stack import free_port, wait_for
from tests.foreign.hosts import TOKEN, Host, start_project

pytestmark = pytest.mark.waits
SERVERS = {
    "runserver": ("manage.py", "runserver", "--noreload", "{port}"),
    "asgi": ("-m", "uvicorn", "shop.asgi:application", "--port", "{port}", "--log-level", "warning"),
}


WORK = """
import os, time, urllib.request
from django.core.management.base import BaseCommand
from shop.urls import run
class Command(BaseCommand):
    def handle(self, **options):
        run("ship", {})
        time.sleep(1.5)
        url = f"http://127.0.0.1:{os.environ['WORKER_METRICS_PORT']}/metrics"
        print(urllib.request.urlopen(url).read().decode())
"""


SHARED = """
import prometheus_client, django, os
own = prometheus_client.Counter("own", "")
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
django.setup()
from django.test import Client
Client().get("/orders/7/", SERVER_NAME="localhost")
own.inc()
from telemetry.serve.exposition import render
print(render()[0].decode())
"""


@pytest.fixture(scope="module")
def host(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = start_project(tmp_path_factory.mktemp("host"), wheel, "uvicorn>=0.30,<1")
    commands = host.directory / "shop" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "work.py").write_text(WORK)
    settings = host.directory / "shop" / "settings.py"
    settings.write_text(settings.read_text() + '\nINSTALLED_APPS += ["shop"]\n')
    return host


@pytest.mark.parametrize("server", SERVERS)
def test_two_lines_observe_a_project_on_sqlite(host: Host, server: str) -> None:
    own = Path(host.directory, "own.log")
    with host.serving(*SERVERS[server]):
        status, headers, body = host.get("/orders/7/")
        assert (status, body) == (200, "0")
        assert host.get("/later/")[0] == 200
        assert host.get("/broken/")[0] == 500
        for path, expected in (("/livez", 200), ("/readyz", 200), ("/api/health", 200), ("/metrics", 404)):
            assert host.get(path, Host="10.0.0.7")[0] == expected, path
        metrics = host.get("/metrics", Authorization=f"Bearer {TOKEN}")[2]
        wait_for("the lines", lambda: len(host.lines("request_finished")) >= 6)
    line = next(line for line in host.lines("request_finished") if line["route"] == "/orders/<number>/")
    assert line["request_id"] == headers["X-Request-ID"]
    assert (line["status_code"], line["db_queries"]) == (200, 1)
    later = next(line for line in host.lines("request_finished") if line["route"] == "/later/")
    assert later["db_queries"] == 1  # an async view's, in whatever thread Django runs it
    assert host.lines("request_failed")[0]["error_type"] == "RuntimeError"
    [counted] = host.lines("orders are counted")
    assert (counted["number"], counted["request_id"]) == (7, line["request_id"])
    assert "orders are counted" in own.read_text()
    assert "the till is closed" in own.read_text()
    assert 'http_requests_total{method="GET",route="/orders/<number>/",status="200"} 1.0' in metrics
    assert 'db_query_duration_seconds_count{query="SELECT auth_user"}' in metrics
    assert not [line for line in host.lines("incident_opened") if "database" in line["message"]]
    [off] = host.lines("telemetry_part_off")  # psutil, which this project does without
    assert off["reason"] == "psutil is not installed."
    assert "worker_resident_memory_bytes" not in metrics.replace("# HELP worker_resident_memory_bytes", "").replace(
        "# TYPE worker_resident_memory_bytes", ""
    )


def test_a_task_of_any_queue_is_observed(host: Host) -> None:
    with host.serving(*SERVERS["runserver"]):
        _, headers, _ = host.get("/send/ship/")
        host.get("/send/lose/")
        wait_for("the runs", lambda: len(host.lines("task_finished")) == 2)
        metrics = host.get("/metrics", Authorization=f"Bearer {TOKEN}")[2]
    shipped, lost = sorted(host.lines("task_finished"), key=lambda line: line["outcome"], reverse=True)
    assert (shipped["task"], shipped["outcome"], shipped["db_queries"]) == ("shop.ship", "ok", 1)
    assert shipped["request_id"] == headers["X-Request-ID"]
    assert (lost["task"], lost["outcome"]) == ("shop.lose", "failed")
    assert host.lines("task_failed")[0]["error_type"] == "RuntimeError"
    assert 'tasks_total{outcome="ok",task="shop.ship"} 1.0' in metrics


def test_a_task_worker_that_is_a_command_of_the_project_is_watched(host: Host) -> None:
    port = free_port()
    done = host.manage("work", LOG_FORMAT="json", WORKER_METRICS_PORT=str(port))
    metrics, lines = done.stdout, [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["task"] for line in lines if line["event"] == "task_finished"] == ["shop.ship"]
    assert [line["port"] for line in lines if line["event"] == "metrics_served"] == [port]
    assert 'tasks_total{outcome="ok",task="shop.ship"} 1.0' in metrics
    assert 'worker_seen_timestamp_seconds{process="worker"}' in metrics  # it is sampled


NOWHERE = """
import os, shutil, tempfile
gone = tempfile.mkdtemp()
os.chdir(gone)
shutil.rmtree(gone)
tempfile.tempdir, tempfile._get_default_tempdir = None, lambda *_: (_ for _ in ()).throw(FileNotFoundError("no place"))
import django
django.setup()
from django.test import Client
from telemetry.serve import lifecycle
lifecycle.start()
client = Client(SERVER_NAME="localhost")
print(client.get("/api/health").status_code, client.get("/orders/7/").status_code)
"""


def test_a_project_without_a_place_to_write_to_is_observed(host: Host) -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": str(host.directory), "LOG_FORMAT": "json"}
    done = host.python_with(NOWHERE, **environment)
    assert done.stdout == "200 200\n"
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert "telemetry_failed" not in events
    assert events.count("request_finished") == 2


def test_it_leaves_no_trace_when_it_is_off(host: Host) -> None:
    with host.serving(*SERVERS["runserver"], TELEMETRY="off"):
        status, headers, _ = host.get("/orders/7/")
        assert (status, "X-Request-ID" in headers) == (200, False)
        assert host.get("/livez")[0] == 200
        assert host.get("/metrics", Authorization=f"Bearer {TOKEN}")[0] == 404
    assert not host.lines("request_finished")


def test_a_host_may_share_metrics_of_its_own_between_processes(host: Host, tmp_path: Path) -> None:
    """As prometheus_client's documentation has it: a directory in the environment, whatever serves the project."""
    metrics = host.python_with(SHARED, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)).stdout
    assert "own_total 1.0" in metrics
    assert 'http_requests_total{method="GET",route="/orders/<number>/",status="200"} 1.0' in metrics
    assert list(tmp_path.glob("counter_*.db"))
