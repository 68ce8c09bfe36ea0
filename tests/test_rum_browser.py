"""The beacon in a real browser on the real site: right numbers, right route, one for each page view."""

import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from unittest.mock import ANY
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from harness.chromium import ARGUMENTS, installed, undriven
from harness.stack import Stack, running_stack, wait_for
from telemetry.rum.causes import PARTS
from tests.conftest import copied_database
from tests.rum import Watched, present, shift, slow_click, slow_hero

COUNTED = {"RUM_COUNT_AUTOMATION": "on", "RUM_RATE_PER_CLIENT": "100", "RUM_CLIENT_WINDOW": "0"}


@pytest.fixture(scope="module")
def running(demo_template: str, static_files: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with copied_database(demo_template) as url, running_stack(tmp_path_factory.mktemp("rum"), url, COUNTED) as site:
        yield site


@pytest.fixture
def site(running: Stack) -> Watched:
    return Watched(running)


def leave(page: Page) -> None:
    """Navigate away, as closing the browser sends nothing."""
    page.goto("about:blank")


@pytest.mark.timing
def test_it_measures_what_the_customer_felt(site: Watched, page: Page) -> None:
    slow_hero(page, "/services/")
    page.goto(f"{site.url}/services/")
    wait_for("the picture", lambda: page.evaluate("document.querySelector('#hero')?.complete"), 30)
    expected = shift(page)
    page.evaluate("fetch('/api/health').then((answer) => answer.text())")
    page.evaluate("history.pushState(null, '', '/contact/')")
    slow_click(page)
    leave(page)

    [row] = site.settled(1)
    line = site.site.log_events("page_view")[-1]
    assert line["causes"]["lcp"]["target"].endswith("img")
    assert line["causes"]["lcp"]["load_ms"] >= 290
    assert sum(line["causes"]["lcp"][f"{part}_ms"] for part in PARTS["LCP"]) == pytest.approx(row["lcp"] * 1000, abs=3)
    assert (line["causes"]["inp"]["target"], line["causes"]["inp"]["processing_ms"] >= 115) == ("button", True)
    assert line["causes"]["inp"]["event"] in ("click", "pointerdown", "pointerup")
    assert line["causes"]["cls"]["target"] == "div"
    assert line["causes"]["script"] == {"target": "trusted.js", "event": "classic-script", "ms": ANY}
    assert 110 <= line["causes"]["script"]["ms"] <= 600
    assert (line["browser"], line["connection"], line["memory"]) == ("Chrome", "4g", ANY)
    assert (row["route"], row["device"], row["navigation"], row["part"]) == ("/services/", "desktop", "navigate", 0)
    assert row["cls"] == pytest.approx(expected, rel=0.01)
    assert 0.3 <= row["lcp"] <= 3
    assert 0.12 <= row["inp"] <= 0.6
    assert 0 < row["ttfb"] <= row["fcp"] <= row["lcp"] + 0.3
    assert row["load"] > 0.3
    for name in ("rum_lcp_seconds", "rum_cls", "rum_inp_seconds", "rum_fcp_seconds", "rum_ttfb_seconds"):
        assert site.metric(f"{name}_count", route="/services/", device="desktop") == 1
        assert site.metric(f"{name}_count") == 1, name
    assert site.metric("rum_lcp_seconds_sum") == pytest.approx(row["lcp"])
    for phase in ("dns", "connect", "request", "response", "dom", "load"):
        assert site.metric("rum_navigation_seconds_count", route="/services/", phase=phase) == 1, phase
    assert site.metric("rum_beacons_total", outcome="accepted") == site.metric("rum_beacons_total") == 1


@pytest.mark.timing
def test_it_times_fetches_and_xhr_as_the_server_does(site: Watched, page: Page) -> None:
    page.goto(f"{site.url}/services/")
    page.evaluate("fetch('/api/availability?nothing=1').then((answer) => answer.text())")
    page.evaluate(
        """() => new Promise((done) => {
            const request = new XMLHttpRequest();
            request.open("GET", "/nowhere/at/all/");
            request.onload = () => done();
            request.send();
        })"""
    )
    leave(page)
    site.settled(1)
    assert site.metric("rum_fetch_duration_seconds_count", endpoint="/api/availability", status="4xx") == 1
    assert site.metric("rum_fetch_duration_seconds_count", endpoint="unmatched", status="4xx") == 1
    seen = site.metric("rum_fetch_duration_seconds_sum", endpoint="/api/availability")
    served = site.metric("http_request_duration_seconds_sum", route="/api/availability")
    assert abs(seen - served) < 0.05  # either side may see the last byte first


def test_it_sends_once_for_each_page_view(site: Watched, page: Page) -> None:
    for path in ("/", "/services/", "/contact/", "/privacy/"):
        page.goto(site.url + path)
    leave(page)
    rows = site.settled(4)
    assert [row["route"] for row in rows] == ["/", "/services/", "/contact/", "/privacy/"]
    assert site.metric("rum_beacons_total") == 4


def test_it_sends_what_is_new_after_a_return_to_the_tab(site: Watched, page: Page) -> None:
    page.goto(f"{site.url}/services/")
    hide = """(state) => {
        Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }"""
    present(page)
    page.evaluate(hide, "hidden")
    wait_for("the first beacon", lambda: site.metric("rum_beacons_total") == 1)
    page.evaluate(hide, "visible")
    page.evaluate(hide, "hidden")  # nothing new: nothing sent
    page.evaluate(hide, "visible")
    page.evaluate("setTimeout(() => { throw new RangeError('late'); }); new Promise((done) => setTimeout(done, 50))")
    page.evaluate(hide, "hidden")
    wait_for("the second beacon", lambda: site.metric("rum_beacons_total") == 2)
    assert site.metric("rum_js_errors_total", route="/services/") == 1
    assert site.metric("rum_lcp_seconds_count") == site.metric("rum_ttfb_seconds_count") == 1
    assert [row["part"] for row in site.settled(1)] == [0]


def test_it_counts_errors_under_the_page_they_happened_on(site: Watched, page: Page) -> None:
    page.goto(f"{site.url}/contact/")
    page.evaluate("setTimeout(() => { throw new TypeError('broken'); }); Promise.reject(new Error('unheard')); 1")
    page.evaluate("for (let i = 0; i < 100; i++) setTimeout(() => { throw new TypeError('again'); }); 1")
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    leave(page)
    [row] = site.settled(1)
    assert row["js_errors"] == 3
    assert site.metric("rum_js_errors_total", route="/contact/") == 1  # browsers are counted, not errors


def test_a_failing_enhancement_leaves_the_plain_page_and_is_reported_once(site: Watched, page: Page) -> None:
    page.goto(f"{site.url}/services/")
    page.click("main a[href^='/book/'], main a[href^='/services/']")
    if "/book/" not in page.url:
        page.click("main a[href^='/book/']")
    page.wait_for_url("**/book/**")
    page.route("**/api/availability*", lambda route: route.fulfill(body="<p>not what was expected</p>"))
    link = page.locator("a[data-swap]").last
    address = link.get_attribute("href") or ""
    link.click()
    page.wait_for_url(lambda url: url.endswith(address.rpartition("?")[2]))
    page.wait_for_selector("#windows")  # the plain page, loaded again
    leave(page)
    wait_for("the report", lambda: site.metric("rum_js_errors_total", route="/book/<slug>/") == 1)


@pytest.mark.parametrize("signal", ["globalPrivacyControl", "doNotTrack"])
def test_it_sends_nothing_for_who_asks_not_to_be_measured(site: Watched, chromium: Browser, signal: str) -> None:
    with chromium.new_context() as context:
        value = "true" if signal == "globalPrivacyControl" else "'1'"
        context.add_init_script(f"Object.defineProperty(Navigator.prototype, '{signal}', {{ get: () => {value} }})")
        page = context.new_page()
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        page.goto(f"{site.url}/services/")
        assert page.evaluate("fetch.toString()").endswith("{ [native code] }")
        page.goto(f"{site.url}/contact/")
        leave(page)
        assert any("rum" in url for url in sent)
        assert not [url for url in sent if "/api/telemetry" in url]
    with chromium.new_context(extra_http_headers={"Sec-GPC": "1"}) as context:
        page = context.new_page()
        page.goto(f"{site.url}/services/")
        assert page.locator("script[data-token]").count() == 0


def test_it_works_under_a_strict_policy(site: Watched, page: Page) -> None:
    policy = "default-src 'self'; object-src 'none'; base-uri 'none'; require-trusted-types-for 'script'"
    objections: list[str] = []
    page.on("console", lambda message: objections.append(message.text) if message.type == "error" else None)

    def strict(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": policy})

    page.route("**/privacy/", strict)
    page.goto(f"{site.url}/privacy/")
    leave(page)
    assert [row["route"] for row in site.settled(1)] == ["/privacy/"]
    assert objections == []


def test_it_keeps_nothing_in_the_browser(site: Watched, page: Page) -> None:
    page.goto(f"{site.url}/services/")
    page.goto(f"{site.url}/services/")
    assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    assert page.context.cookies() == []


def test_it_counts_a_driven_browser_apart_by_default(stack: Callable[..., Stack], page: Page) -> None:
    site = Watched(stack())
    page.goto(f"{site.url}/services/")
    leave(page)
    wait_for("the beacon", lambda: site.metric("rum_beacons_total", outcome="automation") == 1)
    assert site.metric("rum_ttfb_seconds_count") == 0
    assert site.rows() == []


@pytest.fixture
def keeping(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser as customers have it: with the bfcache and prerendering, which Playwright turns off."""
    browser = chromium.browser_type.launch(
        executable_path=installed(), args=ARGUMENTS, ignore_default_args=["--disable-back-forward-cache"]
    )
    yield browser.new_context(bypass_csp=True)
    browser.close()


@pytest.mark.timing
def test_it_counts_a_return_from_the_bfcache_as_a_view(site: Watched, keeping: BrowserContext) -> None:
    page = keeping.new_page()
    page.goto(f"{site.url}/services/")
    page.goto(f"{site.url}/contact/")
    returned = time.monotonic()
    page.go_back(wait_until="commit")
    time.sleep(0.5)  # two frames after the return its first paint is known; the page cannot be asked
    stayed = time.monotonic() - returned
    page.goto(f"{site.url}/privacy/")
    rows = site.settled(3)
    assert [(row["route"], row["navigation"]) for row in rows] == [
        ("/services/", "navigate"),
        ("/contact/", "navigate"),
        ("/services/", "back-forward-cache"),
    ]
    assert rows[2]["lcp"] < stayed  # counted from the return, not from the first load
    assert rows[2]["ttfb"] == 0
    assert site.metric("rum_navigation_seconds_count", route="/services/", phase="request") == 1


PRERENDER = """<script type="speculationrules">
{"prerender": [{"urls": ["/contact/"], "eagerness": "immediate"}]}
</script><script>setTimeout(() => { location.href = "/contact/"; }, 2500);</script>"""
LEAVE_WHEN_SHOWN = """<script>
const leave = () => setTimeout(() => { location.href = "/privacy/"; }, 500);
if (document.prerendering) document.addEventListener("prerenderingchange", leave); else leave();
</script>"""


class ScriptedVisit(BaseHTTPRequestHandler):
    """Passes requests on to the site and adds to two of its pages what a customer would do there."""

    site = ""
    added: ClassVar = {"/services/": PRERENDER, "/contact/": LEAVE_WHEN_SHOWN}

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = HTTPConnection(self.site)
        headers = {name: value for name, value in self.headers.items() if name != "Accept-Encoding"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read() + self.added.get(self.path, "").encode()
        self.send_response(answer.status)
        for name in ("Content-Type", "Cache-Control"):
            if value := answer.getheader(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_arguments: object) -> None: ...


@pytest.mark.timing
def test_it_measures_a_prerendered_page_from_when_it_was_shown(
    site: Watched, chromium: Browser, tmp_path: Path
) -> None:
    # Whatever drives a browser through its developer tools keeps it from prerendering, so nobody drives this one.
    visit = type("Visit", (ScriptedVisit,), {"site": site.url.removeprefix("http://")})
    with ThreadingHTTPServer(("127.0.0.1", 0), visit) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        with undriven(chromium.browser_type, tmp_path, f"http://127.0.0.1:{proxy.server_port}/services/"):
            rows = site.settled(2)
        proxy.shutdown()
    pages = [(row["route"], row["navigation"]) for row in rows]
    assert pages == [("/services/", "navigate"), ("/contact/", "prerender")]
    assert rows[1]["ttfb"] == 0
    assert rows[1]["lcp"] < 0.5


def test_it_is_small(site: Watched) -> None:
    _, page = site.site.get("/contact/")
    address = re.search(r'src="([^"]*rum[^"]*\.js)"', page)
    assert address
    request = Request(site.url + address[1], headers={"Accept-Encoding": "br"})
    with urlopen(request, timeout=10) as served:
        assert served.headers["Content-Encoding"] == "br"
        assert len(served.read()) <= 6500
