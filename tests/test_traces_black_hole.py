"""Collector and Sentry server that take every connection and never answer: nobody waits for them."""

import time
from collections.abc import Callable

import pytest

from harness.peers.bugsink import Project
from harness.peers.collector import Collector
from harness.stack import Stack, wait_for
from tests.load import alternate, hammer, p95

Start = Callable[..., Stack]
SMALL_QUEUE = {"OTEL_BSP_MAX_QUEUE_SIZE": "200", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50"}


def start(stack: Start, endpoint: str, dsn: str, **env: str) -> Stack:
    return stack(
        env={
            "DJANGO_SETTINGS_MODULE": "tests.broken.settings",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "SENTRY_DSN": dsn,
            **env,
        },
    )


def dropped(site: Stack) -> dict[str, float]:
    """What has been thrown away so far, by pipeline."""
    found: dict[str, float] = {}
    for line in site.get(site.metrics_url)[1].splitlines():
        if line.startswith("telemetry_dropped_total{"):
            pipeline = line.partition('pipeline="')[2].partition('"')[0]
            found[pipeline] = found.get(pipeline, 0) + float(line.split()[-1])
    return found


def stopping(site: Stack) -> float:
    began = time.monotonic()
    site.web.terminate()
    site.web.wait(10)
    return time.monotonic() - began


@pytest.mark.waits
@pytest.mark.timing
def test_a_black_hole_slows_no_page_and_holds_up_no_stop(
    stack: Start, project: Project, collector: Collector, black_hole: int
) -> None:
    healthy = start(stack, f"http://127.0.0.1:{collector.port}", project.dsn)
    dark = start(stack, f"http://127.0.0.1:{black_hole}", f"http://key@127.0.0.1:{black_hole}/1", **SMALL_QUEUE)
    for site in (healthy, dark):
        hammer(f"{site.url}/broken/queries/", 100)
        hammer(f"{site.url}/broken/raise/once/", 10)
    for _attempt in range(4):  # other work on the machine falls on one of the two now and then
        healthy_times, dark_times = alternate([f"{site.url}/broken/queries/" for site in (healthy, dark)], 400)
        ratio = p95(dark_times) / p95(healthy_times)
        if ratio <= 1.1:
            break
    assert ratio <= 1.1, f"p95 is ×{ratio:.2f} of healthy, four times over"
    assert dropped(dark)["traces"] > 0
    wait_for("Sentry's losses to be counted", lambda: dropped(dark).get("sentry", 0) > 7, 20)  # 7 were held back
    assert stopping(dark) <= 3


@pytest.mark.waits
@pytest.mark.timing
def test_a_collector_that_refuses_is_counted_and_holds_up_no_stop(stack: Start) -> None:
    site = start(stack, "http://127.0.0.1:9", "http://key@127.0.0.1:9/1", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    hammer(f"{site.url}/broken/queries/", 20)
    wait_for("the spans to be counted", lambda: dropped(site).get("traces", 0) > 0, 20)
    assert stopping(site) <= 3
