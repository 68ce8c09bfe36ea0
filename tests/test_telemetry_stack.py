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
from urllib.parse import urlencode, urlsplit

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from telemetry import multiprocess
from tests.stack import BASE_DIR, Stack, wait_for

StartStack = Callable[..., Stack]
BROKEN = {"DJANGO_SETTINGS_MODULE": "tests.broken.settings"}


def counted(site: Stack) -> Counter[tuple[str, str]]:
    """`http_requests_total` by route and status."""
    _, text = site.get(site.metrics_url)
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "http_requests_total":
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
    assert set(re.findall(r'http_threads_total\{pid="(\d+)"\}', text)) <= alive, "a dead worker has a gauge"


@pytest.mark.timing
def test_it_costs_no_more_to_scrape_after_200_dead_workers(tmp_path: Path) -> None:
    script = """
import json, os, sys, time
from telemetry import multiprocess
path = multiprocess.create()
from prometheus_client import Counter, Histogram
from telemetry import exposition
requests, duration = Counter("deaths", "d", ["route"]), Histogram("life_seconds", "d", ["route"])

def live_and_die():
    child = os.fork()
    if not child:
        for route in range(30):
            requests.labels(f"/{route}/").inc()
            duration.labels(f"/{route}/").observe(0.2)
        os._exit(0)
    os.waitpid(child, 0)
    multiprocess.bury(child)

def scrape():
    began = time.perf_counter()
    text = exposition.render().decode()
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
    assert _request(site, "HEAD", "/", "", {})[0] == 200
    person = {"customer_name": "Robin Example", "customer_email": "robin@example.com", "customer_phone": "07700 900200"}
    assert _book(site, **person, address="1 Sample Street", postcode="SE1 7PB", notes="", consent="on") == 302
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
    assert failed["error"] == "RuntimeError"
    assert 'File "tests/broken/views.py"' in failed["exception"]
    assert "kettle" not in failed["exception"]
    assert "secret" not in site.log_text
    one = next(each for each in events if each["event"] == "request_finished" and each["route"] == "/")
    assert {
        "request_id",
        "status",
        "duration_ms",
        "db_queries",
        "db_ms",
        "db_wait_ms",
        "user_id",
        "bytes",
    } <= one.keys()


def _finished(site: Stack, task: str) -> dict[str, Any] | None:
    return next((each for each in site.log_events("task_finished") if each["task"] == task), None)


CANARY = {
    "name": "Zebedee Quillfeather",
    "email": "zebedee.quillfeather@example.com",
    "phone": "07700 900987",
    "postcode": "ZE1 9QF",
    "token": "canarytoken0123456789ABCDEF",
}


def test_it_lets_no_personal_data_into_a_log_line_or_a_metric(stack: StartStack) -> None:
    site = stack(env=BROKEN, worker=True)
    form = {
        **{name: CANARY[name] for name in ("name", "email", "phone", "postcode")},
        **{f"customer_{name}": CANARY[name] for name in ("name", "email", "phone")},
        "username": CANARY["email"],
        "password": CANARY["token"],
        "key": CANARY["token"],
        "address": f"1 {CANARY['name']} Street",
        "notes": CANARY["email"],
        "body": f"Call {CANARY['name']} on {CANARY['phone']}",
        "topic": CANARY["name"],
        "consent": "on",
    }
    everything = urlencode(form)
    for path in (
        "/",
        "/contact/",
        "/book/tap-repair/",
        "/book/tap-repair/details/",
        "/admin/login/",
        "/broken/canary/",
    ):
        site.get(f"{path}?{everything}")
        _submit(site, path, **form)
        _submit(site, path, **{**form, "topic": "other", "postcode": "SE1 7PB"})
    assert _book(site, **{**form, "key": "0123456789abcdef", "postcode": "SE1 7PB"}) == 302
    wait_for("the e-mail to the customer", lambda: _finished(site, "send_booking_email"), 30)
    token = CANARY["token"]
    for path in (
        f"/bookings/{token}/",
        f"/bookings/{token}/calendar.ics",
        f"/book/{token}/",
        f"/{token}/{CANARY['email']}",
    ):
        site.get(path)
        _submit(site, path, **form)
    site.get("/", headers={"Host": f"{token}.example"})
    headers = ("User-Agent", "Referer", "X-Request-ID", "X-Forwarded-For", "Cookie", "Authorization", "traceparent")
    for header in headers:
        for value in CANARY.values():
            site.get("/broken/canary/", headers={header: value})
    site.get("/broken/log/")
    site.get(f"/api/availability?{everything}")
    beacon = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    _request(site, "POST", "/api/telemetry", json.dumps({**form, "v": 1, "token": token}), beacon)
    _request(site, f"X{token}", "/", "", {})
    _, metrics = site.get(site.metrics_url)
    _, tasks = site.get(site.worker_metrics_url)
    site.stop()
    happened = {each["event"] for each in site.log_events()}
    assert {"request_failed", "booking_created", "contact_message_received", "email_sent"} <= happened
    written = (site.log_text + metrics + tasks).lower()
    for what, value in CANARY.items():
        for form_of in {value, value.replace(" ", ""), value.replace(" ", "+"), value.replace("@", "%40")}:
            assert form_of.lower() not in written, f"{what} leaked: {_around(written, form_of.lower())}"


def _around(text: str, value: str) -> str:
    at = text.index(value)
    return text[max(0, at - 300) : at + 100]


def _book(site: Stack, **fields: str) -> int:
    """Book the first free window of a service as a browser does; the status."""
    week = json.loads(site.get("/api/availability?service=tap-repair")[1])
    start = next(slot["start"] for day in week["days"] for slot in day["slots"])
    return _submit(site, f"/book/tap-repair/details/?{urlencode({'start': start})}", **fields)


def _submit(site: Stack, path: str, **fields: str) -> int:
    """Fetch the page for its CSRF token and post its form with its hidden fields; the status."""
    _, page, cookie = _request(site, "GET", path, "", {})
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    body = urlencode({**hidden, "topic": "question", **fields, "website": ""})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, "Referer": site.url + path}
    return _request(site, "POST", path, body, headers)[0]


def _request(site: Stack, method: str, path: str, body: str, headers: dict[str, str]) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=20)
    connection.request(method, path, body.encode() or None, headers)
    response = connection.getresponse()
    cookie = "; ".join(value.partition(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie")
    page = response.read().decode(errors="replace")
    connection.close()
    return response.status, page, cookie


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
    assert faults == ["telemetry.E010", "telemetry.E030", "telemetry.E031", "telemetry.E033", "telemetry.E035"]
    assert "Traceback" not in done.stderr
