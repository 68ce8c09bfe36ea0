"""A morning in the office, in Chromium, on the real site."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

from playwright.sync_api import Page, expect

from harness.stack import Stack
from tests.mailbox import wait_for_letter
from tests.test_page_quality import violations

MAKE_STAFF = "from django.contrib.auth.models import User; User.objects.create_superuser('office', password='a-pass-1')"
DJANGOS = ('empty-table-header: <th class="original">',)
"""What axe-core objects to in Django's own templates."""
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


def test_it_books_on_the_phone_moves_by_keyboard_and_calls_it_off(stack: Callable[..., Stack], page: Page) -> None:
    site = stack(worker=True)
    site.manage("shell", "-v0", "-c", MAKE_STAFF)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(reduced_motion="reduce")  # colours are judged as they are, not on their way
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill("office")
    page.get_by_label("Password").fill("a-pass-1")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Who is where")).to_be_visible()
    looks_well(page)

    page.get_by_role("searchbox").fill(CUSTOMER["Phone"])
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_label("Phone", exact=True)).to_have_value(CUSTOMER["Phone"])
    for label, typed in CUSTOMER.items():
        page.get_by_label(label, exact=True).fill(typed)
    page.get_by_label("The customer agrees").check()
    page.get_by_role("group", name="Job").get_by_role("button").first.click()
    page.get_by_label("Time", exact=True).fill("03:00")
    page.get_by_label("Date", exact=True).fill(str(date.today() + timedelta(days=3)))
    page.get_by_role("button", name="Can it be had?").click()
    # Nobody works at night; the page says what would be possible, and keeps what was typed.
    expect(page.locator("#own-time")).to_contain_text("out of hours, if")
    looks_well(page)
    page.get_by_role("button", name=re.compile("^Book [A-Z].*day ")).last.click()
    expect(page.locator(".messagelist")).to_contain_text("was added")
    wait_for_letter(site, CUSTOMER["E-mail"], 1)
    looks_well(page, ignored=DJANGOS)
    page.get_by_role("link", name="Move", exact=True).click()
    expect(page.get_by_role("heading", name="Move to")).to_be_visible()
    looks_well(page)

    where = page.locator(".now-at").inner_text()
    day = datetime.strptime(f"{re.findall(r'Now (.+?), ', where)[0]} {date.today().year}", "%A %d %B %Y").date()
    day = day.replace(year=day.year + (day < date.today()))
    page.goto(f"{site.url}/admin/bookings/booking/day/?day={day}")
    looks_well(page)
    visit = page.locator("[data-visit]", has_text="Grace Okafor")
    visit.focus()
    page.keyboard.press("m")
    expect(page.locator("[data-says]")).to_contain_text("Grace Okafor picked up at")
    page.keyboard.press("ArrowUp")
    expect(page.locator("[data-says]")).to_contain_text("can come.")
    page.keyboard.press("Escape")
    expect(page.locator("[data-says]")).to_have_text("Left where it was.")
    expect(visit).to_be_focused()
    page.keyboard.press("m")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("Moved to")
    wait_for_letter(site, CUSTOMER["E-mail"], 2)

    visit.click()
    fits(page)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_label("Reason").fill("Van broke down")
    page.get_by_role("button", name="Cancel 1 booking").click()
    expect(page.locator(".messagelist")).to_contain_text("1 booking cancelled.")
    assert wait_for_letter(site, CUSTOMER["E-mail"], 3).calendar["METHOD"] == "CANCEL"

    page.get_by_role("link", name="Operations").click()
    expect(page.locator("#cancelled svg")).to_be_visible()
    page.locator("#cancelled summary").click()
    expect(page.locator("#cancelled table")).to_be_visible()
    fits(page)
    assert not faults


def looks_well(page: Page, *, ignored: tuple[str, ...] = ()) -> None:
    """axe-core has no objection in light or dark, and nothing scrolls sideways."""
    found = {where: [each for each in objections if not each.startswith(ignored)]
             for where, objections in violations(page).items()}  # fmt: skip
    assert not any(found.values()), (page.url, found)
    fits(page)
    page.set_viewport_size({"width": 1280, "height": 900})


def fits(page: Page) -> None:
    """Nothing makes the page scroll sideways, on a telephone or on a desk."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (page.url, width)
