"""What becomes of a page view beside metrics and rows: one trace with the server's, an issue, a log line."""

import time
from collections.abc import Callable

from playwright.sync_api import Page, Route
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from harness.peers.bugsink import Project
from harness.peers.collector import Collector
from harness.stack import Stack, wait_for
from tests.rum import Watched

COUNTED = {"RUM_COUNT_AUTOMATION": "on", "RUM_RATE_PER_CLIENT": "100", "RUM_CLIENT_WINDOW": "0"}


def test_a_page_view_is_one_trace_from_browser_to_database(
    stack: Callable[..., Stack], collector: Collector, page: Page
) -> None:
    site = Watched(stack(env={**COUNTED, **collector.environment}))
    before = time.time()
    page.goto(f"{site.url}/services/")
    page.evaluate("fetch('/contact/').then((answer) => answer.text())")
    page.goto("about:blank")
    [row] = site.settled(1)

    [view] = wait_for("the page view's span", lambda: collector.named("page_view /services/"))
    [fetch] = wait_for("the fetch's span", lambda: collector.named("fetch /contact/"))
    [served] = wait_for("the server's span of the page", lambda: collector.named("GET /services/"))
    [fetched] = wait_for("the server's span of the fetch", lambda: collector.named("GET /contact/"))
    assert {view.trace_id, fetch.trace_id, served.trace_id, fetched.trace_id} == {row["trace_id"]}
    assert (view.parent_id, fetch.parent_id, fetched.parent_id) == (served.span_id, view.span_id, fetch.span_id)
    assert before - 1 < view.start <= served.start + 0.05  # on the server's clock
    assert fetch.start <= fetched.start + 0.05
    assert fetched.end <= fetch.end + 0.05
    assert view.end <= time.time()
    assert view.attributes["http.route"] == "/services/"
    assert view.attributes["browser.web_vital.lcp"] > 0

    [line] = site.site.log_events("page_view")
    assert (line["route"], line["navigation"], line["trace_id"]) == ("/services/", "navigate", row["trace_id"])
    assert line["vitals"]["lcp"] > 0
    assert line["phases_ms"]["request"] >= 0
    assert line["fetches"] == 1

    _, metrics = site.site.get(site.site.metrics_url, headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    exemplars = {
        sample.name: sample.exemplar
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.exemplar and sample.labels.get("device")
    }
    assert set(exemplars) >= {"rum_lcp_seconds_bucket", "rum_fcp_seconds_bucket", "rum_ttfb_seconds_bucket"}
    assert {exemplar.labels["trace_id"] for exemplar in exemplars.values()} == {row["trace_id"]}
    assert exemplars["rum_lcp_seconds_bucket"].value == view.attributes["browser.web_vital.lcp"] / 1000


def test_an_error_on_the_booking_page_is_an_issue(
    stack: Callable[..., Stack], collector: Collector, project: Project, page: Page
) -> None:
    site = Watched(stack(env={**COUNTED, **collector.environment, "SENTRY_DSN": project.dsn, "RELEASE": "2026.3"}))

    def broken(route: Route) -> None:
        answer = route.fetch()
        code = "\nfunction pickWindow() { null.window; }\nfor (const _ of [1, 2]) setTimeout(() => pickWindow());\n"
        route.fulfill(response=answer, body=answer.text() + code)

    page.route("**/picker*.js", broken)
    page.goto(f"{site.url}/services/")
    page.click("main a[href^='/book/'], main a[href^='/services/']")
    if "/book/" not in page.url:
        page.click("main a[href^='/book/']")
    page.wait_for_url("**/book/**")
    page.wait_for_load_state("load")
    page.evaluate("new Promise((done) => setTimeout(done, 200))")
    page.goto("about:blank")

    [event] = project.wait_for_events()
    [exception] = event["exception"]["values"]
    assert exception["type"] == "TypeError"
    frame = exception["stacktrace"]["frames"][-1]
    assert frame["function"] == "pickWindow"
    assert frame["in_app"]
    assert "/static/build/picker" in frame["filename"]
    assert frame["abs_path"] == site.url + frame["filename"]
    assert {image["code_file"] for image in event["debug_meta"]["images"]} >= {frame["filename"], frame["abs_path"]}
    assert event["contexts"]["browser"]["name"] == "Chrome"
    assert event["contexts"]["os"]["name"] == "Linux"
    assert event["request"]["url"] == f"{site.url}/book/<slug>/"
    assert 0 < time.time() - event["timestamp"] < 60
    assert event["release"] == "2026.3"
    assert event["transaction"] == "/book/<slug>/"
    [served] = wait_for("the page's span", lambda: collector.named("GET /book/<slug>/"))
    assert event["contexts"]["trace"]["trace_id"] == served.trace_id
    assert site.metric("rum_js_errors_total", route="/book/<slug>/") == 1
