"""django-prometheus as its documentation describes it, and what a scraper may ask for."""

import gzip
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from harness.peers.collector import Collector
from harness.stack import Stack, wait_for

StartStack = Callable[..., Stack]
EXTENDED = {"DJANGO_SETTINGS_MODULE": "tests.packages.settings"}
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture
def extended(stack: StartStack) -> Stack:
    return stack(env=EXTENDED, workers=2)


def scraped(url: str, **headers: str) -> tuple[str, dict[str, str]]:
    """The text of a scrape with these headers, and those of the answer."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return body.decode(), dict(answer.headers)


def samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


def test_a_subclass_of_the_middleware_registers_metrics_and_labels_of_its_own(extended: Stack) -> None:
    for _ in range(4):
        assert extended.get("/saves/")[0] == 200
    text = page(extended)
    assert re.search("shop_visits_total [1-9]", text)
    assert 'http_requests_total{method="GET",route="/saves/",shop="north",status="200"} 4.0' in text
    assert 'http_request_duration_seconds_count{method="GET",route="/saves/",shop="north",status="200"} 4.0' in text
    assert 'db_queries_per_request_count{route="/saves/"} 4.0' in text


def page(site: Stack) -> str:
    return site.get(site.metrics_url)[1]


def test_its_model_mixin_cache_and_urls_work_beside_ours(extended: Stack) -> None:
    for _ in range(4):
        assert extended.get("/saves/")[0] == 200
    for text in (page(extended), extended.get("/django-prometheus/metrics")[1]):
        assert 'django_model_updates_total{model="service"} 4.0' in text
        assert 'django_cache_get_total{backend="locmem"} 4.0' in text
        assert 'django_cache_get_misses_total{backend="locmem"} 4.0' in text
        assert 'http_requests_total{method="GET",route="/saves/"' in text


def test_a_setting_exports_its_own_names_bounded(extended: Stack) -> None:
    assert extended.get("/saves/")[0] == 200
    assert extended.get("/broken/raise/kettle/")[0] == 500
    for number in range(3):
        request = urllib.request.Request(extended.url + "/saves/", method=f"BREW{number}")
        with suppress(urllib.error.HTTPError):  # CSRF protection refuses it; it is counted all the same
            urllib.request.urlopen(request)
    text = page(extended)
    assert 'django_http_responses_total_by_status_view_method_total{method="GET",status="200",view="' in text
    assert 'django_http_exceptions_total_by_type_total{type="RuntimeError"} 1.0' in text
    assert "django_http_requests_latency_including_middlewares_seconds_count" in text
    assert 'method="<invalid method>"' in text
    assert "BREW" not in text


def test_stock_names_are_absent_unless_asked_for(stack: StartStack) -> None:
    site = stack()
    site.get("/")
    assert "django_http" not in page(site)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_on_either_port(stack: StartStack) -> None:
    site = stack(worker=True)
    for path in ("/", "/services/", "/nowhere/"):
        site.get(path)
    wait_for("the worker's metrics", lambda: "app_info" in site.get(site.worker_metrics_url)[1])
    for url in (site.metrics_url, site.worker_metrics_url):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=site.get(url)[1], capture_output=True, text=True, timeout=30
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, ""), url


def test_a_scraper_gets_what_it_asks_for(stack: StartStack) -> None:
    site = stack(env={"METRICS_TOKEN": "a-token-for-the-scraper"}, worker=True)
    site.get("/")
    wait_for("the worker's metrics", lambda: "app_info" in site.get(site.worker_metrics_url)[1])
    token = {"Authorization": "Bearer a-token-for-the-scraper"}
    for url in (site.metrics_url, site.worker_metrics_url, f"{site.url}/metrics"):
        text, headers = scraped(url, Accept=PROMETHEUS, Accept_Encoding="gzip", **token)
        assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert headers["Content-Encoding"] == "gzip"
        assert list(samples(text)), "it is no OpenMetrics"
        assert not [sample for sample in samples(text) if sample.name.endswith("_created")]
        text, headers = scraped(url, **token)
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "Content-Encoding" not in headers


def test_exemplars_lead_from_a_bucket_to_the_trace(stack: StartStack, collector: Collector) -> None:
    site = stack(env=collector.environment, workers=2)
    for _ in range(4):
        assert site.get("/services/")[0] == 200
    wait_for("the spans", lambda: collector.named("GET /services/")[3:])
    text, _ = scraped(site.metrics_url, Accept=PROMETHEUS)
    found = [sample for sample in samples(text) if sample.exemplar]
    traced = {span.trace_id for span in collector.spans}
    assert {sample.name for sample in found} == {
        "http_request_duration_seconds_bucket",
        "db_query_duration_seconds_bucket",
    }
    assert {sample.exemplar.labels["trace_id"] for sample in found if sample.exemplar} <= traced
    of_page = [sample for sample in found if sample.labels.get("route") == "/services/"]
    assert all(sample.exemplar and sample.exemplar.value <= float(sample.labels["le"]) for sample in of_page)
    assert of_page
    assert "trace_id" not in page(site), "the older format has none"


def test_counters_are_there_before_their_first_event(stack: StartStack) -> None:
    site = stack(worker=True)
    site.get("/services/")
    wanted = (
        'http_requests_total{method="GET",route="/services/",status="500"} 0.0',
        'bookings_rejected_total{reason="taken"} 0.0',
        'payments_total{outcome="paid"} 0.0',
        'telemetry_dropped_total{pipeline="traces",reason="queue_full"} 0.0',
    )
    wait_for("each of them", lambda: not [series for series in wanted if series not in page(site)])
    tasks = wait_for("the worker's metrics", lambda: site.get(site.worker_metrics_url)[1])
    assert 'tasks_total{outcome="failed",task="send_booking_email"} 0.0' in tasks
    assert 'emails_total{kind="confirmation",outcome="failed"} 0.0' in tasks
