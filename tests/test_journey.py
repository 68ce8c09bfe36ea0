"""A customer's way through the real site in Chromium: from the home page to a cancelled visit."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.stack import Stack
from tests.mailbox import wait_for_letter

ADDRESS = "robin@example.com"
FIELDS = {
    "Your name": "Robin Example",
    "E-mail": ADDRESS,
    "Phone": "07700 900200",
    "Address of the job": "1 Sample Street\nLondon",
    "Postcode": "se1 7pb",
    "Anything we should know? (optional)": "Second bell",
}


@pytest.fixture
def plain_page(chromium: Browser) -> Iterator[Page]:
    """A page without JavaScript."""
    with chromium.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844}) as context:
        context.set_default_timeout(10_000)
        yield context.new_page()


def choose_a_time(page: Page, site: Stack) -> str:
    """From the home page to the details of a visit next week; returns the chosen start (ISO 8601, UTC)."""
    page.goto(site.url)
    page.get_by_role("link", name="Choose a job and a time").click()
    page.get_by_role("link", name="Tap repair or replacement").click()
    page.get_by_role("link", name="See free times").click()
    page.get_by_role("link", name="Later").click()
    expect(page.locator("[data-id=previous]")).to_be_visible()
    page.locator(".tape a:not(.full)").last.click()
    expect(page.locator(".tape li:has(a:not(.full)) >> nth=-1").locator("a")).to_have_attribute("aria-current", "date")
    window = page.locator("ul.slots a").first
    start = re.search(r"start=([^&]+)", window.get_attribute("href") or "")
    assert start
    window.click()
    return start[1]


def fill_in(page: Page) -> None:
    for label, typed in FIELDS.items():
        page.get_by_label(label, exact=True).fill(typed)
    page.get_by_label("Keep these details").check()


def follow_the_link(page: Page, site: Stack, start: str) -> None:
    """The confirmation e-mail's link shows the visit, moves it, and cancels it; each change is e-mailed."""
    sent = wait_for_letter(site, ADDRESS, 1)
    assert sent.event["DTSTART"].dt == datetime.fromisoformat(start)
    assert (sent.calendar["METHOD"], int(sent.event["SEQUENCE"])) == ("REQUEST", 0)
    link = re.search(rf"{site.url}/bookings/\S+", sent.text)
    assert link

    page.goto(link[0])
    expect(page.get_by_role("heading", level=1)).to_contain_text(" to ")
    page.locator("#move ul.slots button").last.click()
    expect(page.get_by_role("status")).to_contain_text("Moved.")
    moved = wait_for_letter(site, ADDRESS, 2)
    assert moved.event["UID"] == sent.event["UID"]
    assert moved.event["DTSTART"].dt != sent.event["DTSTART"].dt
    assert moved.event["DTSTART"].dt.utcoffset() == timedelta()
    assert int(moved.event["SEQUENCE"]) > 0

    page.get_by_role("button", name="Cancel this visit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This visit is cancelled")
    cancelled = wait_for_letter(site, ADDRESS, 3)
    assert (cancelled.calendar["METHOD"], cancelled.event["UID"]) == ("CANCEL", sent.event["UID"])
    assert int(cancelled.event["SEQUENCE"]) > int(moved.event["SEQUENCE"])


def test_it_books_moves_and_cancels_a_visit(stack: Callable[..., Stack], page: Page) -> None:
    site = stack(worker=True)
    loaded, errors = list[str](), list[str]()
    page.on("framenavigated", lambda frame: loaded.append(frame.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    with page.expect_response(lambda answer: "/api/availability" in answer.url and answer.ok):
        start = choose_a_time(page, site)
    fill_in(page)
    page.get_by_role("button", name="Book this visit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked. See you")
    follow_the_link(page, site, start)
    assert errors == []


def test_it_books_moves_and_cancels_a_visit_without_javascript(stack: Callable[..., Stack], plain_page: Page) -> None:
    site = stack(worker=True)
    page = plain_page
    start = choose_a_time(page, site)
    fill_in(page)
    page.get_by_label("E-mail", exact=True).fill("not an address")
    page.get_by_role("button", name="Book this visit").click()
    expect(page.locator(".errors")).to_contain_text("Enter an e-mail address")
    expect(page.get_by_label("Your name", exact=True)).to_have_value("Robin Example")
    page.get_by_label("E-mail", exact=True).fill(ADDRESS)
    page.get_by_role("button", name="Book this visit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked. See you")
    follow_the_link(page, site, start)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has this accessible name (or starts with it) is focused."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => (document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
        )
        if focused.startswith(name):
            return
    raise AssertionError(f"nothing named {name} can be reached")


def test_it_books_by_keyboard_and_announces_the_windows(stack: Callable[..., Stack], page: Page) -> None:
    site = stack()
    page.goto(f"{site.url}/services/tap-repair/")
    tab_to(page, "See free times")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/**")
    tab_to(page, "Later")
    page.keyboard.press("Enter")
    expect(page.locator("[data-announce]")).to_contain_text("free window")
    page.locator(".tape a:not(.full)").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("a:focus")).to_have_attribute("aria-current", "date")
    page.locator("ul.slots a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/details/**")
    for label, typed in FIELDS.items():
        tab_to(page, label)
        page.keyboard.type(typed)
    tab_to(page, "Book this visit")
    page.keyboard.press("Enter")
    expect(page.locator(".errors")).to_be_focused()  # consent is missing
    tab_to(page, "Keep these details")
    page.keyboard.press("Space")
    tab_to(page, "Book this visit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked. See you")


def test_it_follows_the_plain_link_when_the_swap_fails(stack: Callable[..., Stack], page: Page) -> None:
    site = stack()
    page.route("**/api/availability*", lambda route: route.abort())
    page.goto(f"{site.url}/book/tap-repair/")
    page.get_by_role("link", name="Later").click()
    page.wait_for_url("**/book/tap-repair/?week=*")
    expect(page.locator("[data-id=previous]")).to_be_visible()


def test_it_keeps_what_was_typed_while_other_times_are_looked_at(stack: Callable[..., Stack], page: Page) -> None:
    site = stack()
    choose_a_time(page, site)
    fill_in(page)
    page.get_by_role("link", name="Time", exact=True).click()
    page.locator("ul.slots a").last.click()
    for label, typed in FIELDS.items():
        expect(page.get_by_label(label, exact=True)).to_have_value(typed)


def test_it_shows_a_form_again_at_an_address_that_can_be_kept(stack: Callable[..., Stack], page: Page) -> None:
    site = stack()
    start = choose_a_time(page, site)
    page.get_by_label("Your name", exact=True).fill("Robin Example")
    page.get_by_role("button", name="Book this visit").click()
    expect(page.locator(".errors")).to_be_visible()
    assert page.url == f"{site.url}/book/tap-repair/details/?start={start}"
    page.goto(page.url)
    expect(page.get_by_label("Your name", exact=True)).to_have_value("Robin Example")
    expect(page.locator(".errors")).to_have_count(0)


def test_it_books_in_a_browser_that_forbids_storage(stack: Callable[..., Stack], page: Page) -> None:
    site, errors = stack(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    choose_a_time(page, site)
    fill_in(page)
    page.get_by_role("button", name="Book this visit").dblclick()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked. See you")
    assert errors == []
