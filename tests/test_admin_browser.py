"""A morning in the office, in Chromium, on the real site."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.mailbox import wait_for_letter
from tests.stack import Stack

MAKE_STAFF = "from django.contrib.auth.models import User; User.objects.create_superuser('office', password='a-pass-1')"
CUSTOMER = {
    "Name": "Grace Okafor",
    "E-mail": "grace@example.com",
    "Phone": "07700 900123",
    "Address": "1 Example Street, London",
    "Postcode": "se1 7pb",
}


def test_its_first_pages_ask_for_nothing_that_is_not_there(stack: Callable[..., Stack], page: Page) -> None:
    """Judged by the site's log: browsers report no request for an icon."""
    site = stack()
    site.manage("shell", "-v0", "-c", MAKE_STAFF)
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill("office")
    page.get_by_label("Password").fill("a-pass-1")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Who is where")).to_be_visible()
    links = page.locator("a[href^='/admin/']").evaluate_all("links => links.map(link => link.href)")
    first = [link for link in sorted(set(links)) if not re.search("add/$|logout", link)]
    for link in first:
        page.goto(link, wait_until="load")
    page.goto(f"{site.url}/favicon.ico")
    assert len(first) > 10
    missed = [line for line in site.log_events("request_finished") if int(line["status_code"]) >= 400]
    assert missed == []


def test_it_books_on_the_phone_and_calls_it_off(stack: Callable[..., Stack], page: Page) -> None:
    site = stack(worker=True)
    site.manage("shell", "-v0", "-c", MAKE_STAFF)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))

    page.goto(f"{site.url}/admin/bookings/booking/schedule/")
    page.get_by_label("Username").fill("office")
    page.get_by_label("Password").fill("a-pass-1")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    page.get_by_role("link", name="Next week").click()
    before = page.locator("a.visit").count()
    fits(page)

    page.get_by_role("link", name=re.compile("^Book .* Wednesday")).first.click()
    for label, typed in CUSTOMER.items():
        page.get_by_label(label, exact=True).fill(typed)
    page.get_by_label("The customer agrees").check()
    page.get_by_role("group", name="Job").get_by_role("button").first.click()
    page.get_by_label("Time", exact=True).fill("03:00")
    page.get_by_role("button", name="Can it be had?").click()
    # Nobody works at night; the page offers times and keeps what was typed.
    expect(page.get_by_role("status")).to_contain_text("if ")
    fits(page)
    page.get_by_role("button", name=re.compile("^Book [A-Z].*day ")).first.click()
    expect(page.locator(".messagelist")).to_contain_text("was added")
    wait_for_letter(site, CUSTOMER["E-mail"], 1)

    page.goto(f"{site.url}/admin/bookings/booking/schedule/")
    page.get_by_role("link", name="Next week").click()
    expect(page.locator("a.visit")).to_have_count(before + 1)
    page.locator("a.visit", has_text="Grace Okafor").click()
    fits(page)
    page.get_by_role("button", name="Cancel the booking").click()
    page.get_by_label("Reason").fill("Van broke down")
    page.get_by_role("button", name="Cancel 1 booking").click()
    expect(page.locator(".messagelist")).to_contain_text("1 booking cancelled.")
    assert wait_for_letter(site, CUSTOMER["E-mail"], 2).calendar["METHOD"] == "CANCEL"

    page.get_by_role("link", name="Operations").click()
    expect(page.locator("#cancelled svg")).to_be_visible()
    page.locator("#cancelled summary").click()
    expect(page.locator("#cancelled table")).to_be_visible()
    fits(page)
    assert not faults


def fits(page: Page) -> None:
    """Nothing makes the page scroll sideways, on a telephone or on a desk."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (page.url, width)
