"""The page that a customer is about to open is made ready before the tap, and nothing happens by that."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page

from harness.stack import Stack, wait_for


def test_it_makes_the_next_page_ready_on_the_way_to_the_tap(stack: Callable[..., Stack], page: Page) -> None:
    site, rules, links, tries = stack(), list[Any](), set[str](), list[Any]()
    browser = page.context.new_cdp_session(page)
    browser.on("Preload.ruleSetUpdated", lambda event: rules.append(event["ruleSet"]))
    browser.on(
        "Preload.preloadingAttemptSourcesUpdated",
        lambda event: links.update(urlsplit(each["key"]["url"]).path for each in event["preloadingAttemptSources"]),
    )
    browser.on("Preload.prerenderStatusUpdated", lambda event: tries.append(event["key"]["url"]))
    browser.send("Preload.enable")

    def look(what: str, found: Callable[[], object]) -> None:
        wait_for(what, lambda: page.evaluate("1") and found(), 30)  # the events arrive while Playwright is asked

    page.goto(f"{site.url}/services/tap-repair/")
    look("the rules", lambda: rules and "/book/tap-repair/" in links)
    assert "errorType" not in rules[0], rules  # the content security policy would have kept them out
    page.goto(site.url)
    look("the links of the home page", lambda: "/services/tap-repair/" in links)
    # Pages with a form set a cookie, and a booking's own pages are nobody else's business.
    assert all(path.startswith(("/services/", "/book/")) for path in links), links
    page.get_by_role("link", name="Tap repair or replacement").hover()
    # Chromium goes no further than to fetch it while it is driven, but says what it tried.
    look("the try", lambda: f"{site.url}/services/tap-repair/" in tries)
    assert page.context.cookies() == []


def test_it_leaves_that_out_for_who_saves_data(stack: Callable[..., Stack]) -> None:
    site = stack()
    assert "speculationrules" in site.get("/services/")[1]
    assert "speculationrules" not in site.get("/services/", headers={"Save-Data": "on"})[1]
