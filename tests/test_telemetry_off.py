"""What telemetry must not do: be there when it is off, or make anybody wait when its reader hangs."""

import json
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable

import psutil
import pytest
from django.db import connection

from harness.stack import BASE_DIR, Stack
from telemetry.contrib.procrastinate import queue_depth

INVENTORY = """
import json, logging, os, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "xfhandyman.settings"
import django
django.setup()
from django.conf import settings
from django.db import connection, connections
from http.client import HTTPConnection
from telemetry.metrics.requests import RequestMetrics
from telemetry.middleware import ObservingMiddleware
from telemetry.serve import lifecycle
lifecycle.start("xfhandyman")
RequestMetrics.get_instance().requests.labels("GET", "/", "200").inc()
print(json.dumps({
    "middleware": type(ObservingMiddleware(print)).__name__,
    "wrappers": len(connection.execute_wrappers),
    "engine": type(connections["default"]).__module__,
    "threads": [thread.name for thread in threading.enumerate() if thread.name.startswith("telemetry")],
    "outgoing": HTTPConnection.endheaders.__module__,
    "handlers": [type(each).__name__ for each in logging.getLogger().handlers],
}))
lifecycle.stop()
"""


def inventory(telemetry: str) -> dict[str, object]:
    environment = {**os.environ, "TELEMETRY": telemetry}
    done = subprocess.run(
        [sys.executable, "-c", INVENTORY], cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_it_leaves_nothing_behind_when_it_is_off() -> None:
    assert inventory("off") == {
        "middleware": "Unobserved",  # whether the site is well is asked with telemetry off too
        "wrappers": 0,
        "engine": "django.db.backends.postgresql.base",
        "threads": [],
        "outgoing": "http.client",
        "handlers": [],
    }
    on = inventory("on")
    assert on["middleware"] == "ObservingMiddleware"
    assert on["handlers"] == ["LineHandler"]
    assert "telemetry-sampler" in on["threads"]  # type: ignore[operator]  # a list


def test_it_serves_pages_and_no_metrics_when_it_is_off(stack: Callable[..., Stack]) -> None:
    site = stack(env={"TELEMETRY": "off", "METRICS_TOKEN": "a-token-for-the-scraper"})
    assert site.get("/services/")[0] == 200
    with pytest.raises(urllib.error.URLError):
        site.get(site.metrics_url)
    assert "request_finished" not in site.log_text


@pytest.mark.timing
@pytest.mark.parametrize("words", [1, 100, 3000])
def test_it_drops_and_counts_log_lines_that_nobody_reads(words: int) -> None:
    script = (
        f"words = {words}"
        + """
import logging, os, sys, time
from telemetry.logs.setup import install
sys.modules["telemetry.metrics.catalogue"] = type(sys)("metrics")
dropped = 0
class Counter:
    def labels(self, *_): return self
    def inc(self):
        global dropped
        dropped += 1
sys.modules["telemetry.metrics.catalogue"].telemetry_dropped = Counter()
os.environ |= {"LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}
install()
log = logging.getLogger("test")
began = time.monotonic()
for number in range(2000):
    log.info("a_line_that_nobody_reads" + " again" * words)
print(time.monotonic() - began, dropped, flush=True)
sys.stdin.readline()
log.info("read_again")
"""
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # 64 KiB, then nobody reads on
        text=True,
    )
    assert process.stdout
    took, dropped = process.stdout.readline().split()
    assert process.stderr
    lines = os.read(process.stderr.fileno(), 1 << 16).decode()
    lines += process.communicate("\n", timeout=20)[1]
    assert float(took) < 2
    assert int(dropped) > 1000
    kept, cut = [], 0
    for line in lines.splitlines():
        try:
            kept.append(json.loads(line)["event"])
        except ValueError:
            cut += 1
    assert cut <= 1, "what was in the middle of a line when the reader stopped"
    assert kept[-1] == "read_again", "the next line stands by itself"
    assert len(kept) + int(dropped) == 2001, "every line was written or counted"


@pytest.mark.django_db(transaction=True)
def test_it_measures_how_far_the_background_work_is_behind() -> None:
    assert queue_depth.due() == (0, 0.0)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (task_name, queue_name, scheduled_at) VALUES"
            " ('late', 'default', now() - interval '90 seconds'),"
            " ('now', 'default', NULL),"
            " ('tomorrow', 'default', now() + interval '1 day')"
        )
    waiting, oldest = queue_depth.due()
    assert waiting == 2
    assert 90 <= oldest < 100


@pytest.mark.timing
def test_it_serves_metrics_while_every_thread_is_stuck(stack: Callable[..., Stack]) -> None:
    site = stack(env={"DJANGO_SETTINGS_MODULE": "tests.broken.settings"}, workers=1, threads=2)
    site.get("/services/")
    (worker,) = psutil.Process(site.web.pid).children()
    worker.suspend()
    try:
        took = []
        for _ in range(5):
            began = time.perf_counter()
            status, text = site.get(site.metrics_url, timeout=5)
            took.append(time.perf_counter() - began)
            assert status == 200
            assert 'route="/services/"' in text
    finally:
        worker.resume()
    assert min(took) < 0.05
