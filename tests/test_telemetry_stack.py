"""Metrics and logs of the real thing: gunicorn with several workers, the task worker, deaths and reloads."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.stack import BASE_DIR, Stack, wait_for
from telemetry.metrics import multiprocess
from telemetry.serve import probes
from tests import visitor

StartStack = Callable[..., Stack]
BROKEN = {"DJANGO_SETTINGS_MODULE": "tests.broken.settings"}


def counted(site: Stack) -> Counter[tuple[str, str]]:
    """`http_requests_total` by route and status, without the probe of the start, which may be counted late."""
    _, text = site.get(site.metrics_url)
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "http_requests_total" and sample.labels["route"] not in probes.health():
                found[sample.labels["route"], sample.labels["status"]] += int(sample.value)
    return found


def send(site: Stack, path: str) -> int:
    """GET on a connection of its own; the status, or 0 when the connection broke before an answer."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_it_counts_every_request_across_workers_a_kill_and_a_reload(stack: StartStack) -> None:
    site = stack(workers=4, threads=2)
    paths = {"/privacy/": "/privacy/", "/services/": "/services/", "/nowhere/": "unmatched"}
    expected: Counter[tuple[str, str]] = Counter()
    before = counted(site)

    def burst() -> None:
        wanted = [path for path in paths for _ in range(40)]
        with ThreadPoolExecutor(6) as pool:
            for path, status in zip(wanted, pool.map(lambda path: send(site, path), wanted), strict=True):
                if status:
                    expected[paths[path], str(status)] += 1

    def settled() -> bool:
        return counted(site) - before == expected

    burst()
    wait_for("the counters to equal the requests", settled)
    killed = psutil.Process(site.web.pid).children()[0]
    killed.send_signal(signal.SIGKILL)
    burst()
    wait_for("the dead worker's counts to be kept", settled)
    wait_for("a worker in its place", lambda: len(psutil.Process(site.web.pid).children()) == 4)
    old = {child.pid for child in psutil.Process(site.web.pid).children()}
    site.web.send_signal(signal.SIGHUP)
    burst()
    wait_for("new workers", lambda: not old & {child.pid for child in psutil.Process(site.web.pid).children()}, 30)
    wait_for("the old workers' counts to be kept", settled)
    _, text = site.get(site.metrics_url)
    alive = {str(child.pid) for child in psutil.Process(site.web.pid).children()}
    assert set(re.findall(r'http_threads\{pid="(\d+)"\}', text)) <= alive, "a dead worker has a gauge"


def test_it_adds_up_where_time_goes_over_workers_and_a_reload(stack: StartStack) -> None:
    site = stack(workers=2, threads=2)
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: send(site, "/services/"), range(40))) == {200}
    site.web.send_signal(signal.SIGHUP)  # what the old workers have not yet reported is not lost
    wanted = {("work_operations_total", "cpu"): 40.0}

    def spent() -> dict[tuple[str, str], float]:
        _, text = site.get(site.metrics_url)
        families = text_string_to_metric_families(text)
        return {
            (sample.name, sample.labels["on"]): sample.value
            for family in families
            for sample in family.samples
            if sample.labels.get("route") == "/services/" and sample.name.startswith("work_")
        }

    wait_for("every request to be in the sums", lambda: wanted.items() <= spent().items(), 30)
    assert spent()["work_operations_total", "query"] >= 40
    assert 0 < spent()["work_seconds_total", "query"] < 40
    count = re.search(r"^http_request_queue_seconds_count (\S+)", site.get(site.metrics_url)[1], re.MULTILINE)
    assert count is not None
    assert float(count[1]) >= 40


@pytest.mark.timing
def test_it_costs_no_more_to_scrape_after_200_dead_workers(tmp_path: Path) -> None:
    script = """
import json, os, sys, time
from telemetry.metrics import multiprocess
path = multiprocess.create()
from prometheus_client import Counter, Histogram
from telemetry.serve import exposition
requests, duration = Counter("deaths", "d", ["route"]), Histogram("life_seconds", "d", ["route"])

def live_and_die():
    child = os.fork()
    if not child:
        for route in range(30):
            requests.labels(f"/{route}/").inc()
            duration.labels(f"/{route}/").observe(0.2)
        os._exit(0)
    os.waitpid(child, 0)
    multiprocess.reap(child)

def scrape():
    began = time.perf_counter()
    text = exposition.render()[0].decode()
    return time.perf_counter() - began, text

live_and_die()
first = min(scrape()[0] for _ in range(5))
for _ in range(199):
    live_and_die()
last, text = min((scrape() for _ in range(5)), key=lambda result: result[0])
print(json.dumps({"first": first, "last": last, "files": sorted(os.listdir(path)), "text": text}))
multiprocess.remove()
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=BASE_DIR, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 'deaths_total{route="/7/"} 200.0' in found["text"]
    assert 'life_seconds_count{route="/7/"} 200.0' in found["text"]
    assert 'life_seconds_bucket{le="0.25",route="/7/"} 200.0' in found["text"]
    assert len(found["files"]) <= 5
    assert found["last"] < 3 * found["first"] + 0.01


def test_it_keeps_serving_when_its_metrics_directory_is_tidied_away(stack: StartStack, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    (scratch / "metrics-of-another-program").mkdir(parents=True)
    site = stack(env={"TMPDIR": str(scratch)}, workers=1)
    assert (scratch / "metrics-of-another-program").exists()
    (directory,) = scratch.glob("telemetry-metrics-*")
    shutil.rmtree(directory)
    (worker,) = psutil.Process(site.web.pid).children()
    worker.kill()
    wait_for("another worker", lambda: [each for each in psutil.Process(site.web.pid).children() if each != worker])
    assert site.get("/services/")[0] == 200
    assert 'route="/services/"' in site.get(site.metrics_url)[1]


def test_it_leaves_no_lock_with_a_worker_forked_during_a_scrape(tmp_path: Path) -> None:
    with multiprocess.lock(tmp_path, timeout=0):
        child = os.fork()
        if not child:
            signal.pause()
            os._exit(0)
    try:
        with multiprocess.lock(tmp_path, timeout=0) as held:
            assert held
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_it_answers_for_metrics_on_the_public_port_to_holders_of_the_token_alone(stack: StartStack) -> None:
    site = stack(env={"METRICS_TOKEN": "a-token-for-the-scraper"})
    assert site.get("/metrics")[0] == 404
    assert site.get("/metrics", headers={"Authorization": "Bearer wrong"})[0] == 404
    assert site.get("/metrics", headers={"Authorization": "Bearer ünïcödé".encode().decode("latin-1")})[0] == 404
    status, text = site.get("/metrics", headers={"Authorization": "Bearer a-token-for-the-scraper"})
    assert status == 200
    assert "http_requests_total" in text
    assert site.get(site.metrics_url.replace("/metrics", "/other"))[0] == 404


def test_it_logs_a_mixed_run_as_json_with_the_id_of_each_request(stack: StartStack) -> None:
    site = stack(env=BROKEN, worker=True, workers=2)
    assert site.get("/")[0] == 200
    assert site.get("/nowhere/?q=secret")[0] == 404
    assert site.get("/broken/raise/kettle/")[0] == 500
    assert site.get("/", headers={"Host": "evil.example"})[0] == 400
    assert visitor.request(site, "HEAD", "/", "", {})[0] == 200
    person = {"customer_name": "Robin Example", "customer_email": "robin@example.com", "customer_phone": "07700 900200"}
    assert visitor.book(site, **person, address="1 Sample Street", postcode="SE1 7PB", notes="", consent="on") == 302
    finished = wait_for("the task", lambda: _finished(site, "send_booking_email"), 30)
    assert finished is not None
    _, metrics = site.get(site.metrics_url)
    _, tasks = site.get(site.worker_metrics_url)
    site.stop()

    lines = [line for line in site.log_text.splitlines() if line.strip()]
    events = [json.loads(line) for line in lines]  # every one
    assert all({"timestamp", "level", "event"} <= each.keys() for each in events)
    within = [each for each in events if each["logger"] in ("telemetry.request", "bookings", "django.security")]
    assert all(each.get("request_id") for each in within)
    posted = next(each for each in events if each["event"] == "request_finished" and each["method"] == "POST")
    assert finished["request_id"] == posted["request_id"], "the task carries the id of the request that deferred it"
    heads = [each["event"] for each in events if each.get("method") == "HEAD" or "HEAD" in each["event"]]
    assert heads == ["request_finished"], "a HEAD is told once, like any other request"
    received = next(each for each in events if each["event"] == "booking_created")
    assert received["request_id"] == posted["request_id"]
    assert 'bookings_created_total{service="tap-repair"} 1.0' in metrics
    assert 'tasks_total{outcome="ok",task="send_booking_email"} 1.0' in tasks
    assert 'emails_total{kind="confirmation",outcome="sent"} 1.0' in tasks

    (failed,) = [each for each in events if "exception" in each]
    assert failed["event"] == "request_failed"
    assert failed["error_type"] == "RuntimeError"
    assert 'File "tests/broken/views.py"' in failed["exception"]
    assert "kettle" not in failed["exception"]
    assert "secret" not in site.log_text
    one = next(each for each in events if each["event"] == "request_finished" and each["route"] == "/")
    assert {
        "request_id",
        "status_code",
        "duration_ms",
        "db_queries",
        "db_ms",
        "db_wait_ms",
        "user_id",
        "bytes",
    } <= one.keys()


def _finished(site: Stack, task: str) -> dict[str, Any] | None:
    return next((each for each in site.log_events("task_finished") if each["task"] == task), None)


def test_it_stops_a_production_start_with_one_line_per_fault(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "ENVIRONMENT": "production",
        "LOG_FORMAT": "json",
        "SECRET_KEY": "short",
        "SITE_URL": "http://xfhandyman.example",
        "TRUSTED_PROXIES": "everyone",
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn"], cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    faults = [line["id"] for line in lines if line["level"] == "critical"]
    # E031: its address for reports follows SITE_URL.
    assert sorted(faults) == [f"xfhandyman.E0{number}" for number in (12, 31, 40, 41, 43, 45)]
    assert "Traceback" not in done.stderr
