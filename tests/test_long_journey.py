"""One customer in Chromium, with script and without: from a postcode to a visit that is booked again."""

import re
from collections.abc import Callable

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from harness.stack import Stack, wait_for
from tests.mailbox import letters
from tests.pictures import png
from tests.test_page_quality import violations

ADDRESS = "robin@example.com"
PERSON = {
    "Your name": "Robin Example",
    "E-mail": ADDRESS,
    "Phone": "07700 900200",
    "Address of the job": "1 Sample Street",
}
OFFER = """
from datetime import time
from bookings.scheduling import offers
offers.AWAKE = (time.min, time.max)  # whenever the tests run
offers.offer_free_time()
"""
COMPLETE = """
UPDATE bookings_booking SET status = 'completed', starts_at = starts_at - '30 d'::interval,
arrival_until = arrival_until - '30 d'::interval, ends_at = ends_at - '30 d'::interval,
during = tstzrange(lower(during) - '30 d'::interval, upper(during) - '30 d'::interval)
WHERE customer_email = %s AND status = 'confirmed'
"""


def link(site: Stack, beginning: str, saying: str = "") -> str:
    """The first address below `beginning` in the latest e-mail to the customer that has one and says this."""

    def found() -> list[str]:
        bodies = [letter.get_body(("plain",)) for letter in letters(site, ADDRESS)]
        texts = [body.get_content() for body in bodies if body is not None]
        return [each for text in texts if saying in text for each in re.findall(rf"{site.url}{beginning}\S+", text)[:1]]

    return wait_for(f"an e-mail with {beginning}", found, 20)[-1]


def choose(page: Page, site: Stack) -> None:
    """From a postcode to the details of two jobs next week, in a window near another visit or a home."""
    page.goto(site.url)
    page.get_by_label("Do we come to you?").fill("se154ql")
    page.get_by_role("button", name="Check postcode").click()
    expect(page.get_by_role("status")).to_contain_text("Yes, we come to SE15 4QL.")
    page.get_by_role("link", name="Door hanging and repair").click()
    page.get_by_text("More than one, or another job too?").click()
    page.get_by_role("button", name="Add another job").click()
    page.get_by_role("button", name="Shelves and pictures").click()
    page.get_by_role("button", name="See free times").click()
    page.get_by_role("link", name="Later").click()
    page.locator("[data-id=previous]").wait_for()
    expect(page.get_by_role("heading", name="Someone is nearby")).to_be_visible()


def book(page: Page, judge: Callable[[str], None]) -> None:
    """With a file that is no photo first, which costs nothing of what was typed."""
    page.locator("h3:text-is('Someone is nearby') + ul a").first.click()
    expect(page.get_by_label("Postcode", exact=True)).to_have_value("SE15 4QL")
    for label, typed in PERSON.items():
        page.get_by_label(label, exact=True).fill(typed)
    page.get_by_label("Keep these details").check()
    photos = page.get_by_label("Photos (optional)")
    photos.set_input_files({"name": "door.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"})
    page.get_by_role("button", name="Book this visit").click()
    expect(page.locator(".errors")).to_contain_text("We could not read that photo")
    expect(page.get_by_text("Choose your photos again")).to_be_visible()
    judge("details, photo refused")
    photos.set_input_files({"name": "door.png", "mimeType": "image/png", "buffer": png()})
    page.get_by_role("button", name="Book this visit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked. See you")
    expect(page.get_by_role("link", name="Your photos (1)")).to_be_visible()


def change(page: Page, site: Stack, judge: Callable[[str], None]) -> None:
    """Add a job to the visit, and take an earlier time that is offered for it."""
    page.goto(link(site, "/bookings/"))
    page.get_by_role("link", name="Add a job").click()
    page.locator("ul.slots button").first.click()
    expect(page.get_by_role("status").first).to_be_visible()
    booked = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("link", name="Tell me when something earlier comes free").click()
    page.get_by_role("button", name="Put me in line").click()
    expect(page.get_by_role("status").first).to_contain_text("You are in line")
    site.manage("shell", "-v0", "-c", OFFER)
    page.goto(link(site, "/waitlist/", "We keep it for you until"))
    judge("first in line, offered")
    page.get_by_role("button", name="Move my visit there").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text(booked)
    expect(page.locator("dl.facts")).to_contain_text("Shelves and pictures")


def review_and_book_again(page: Page, site: Stack, judge: Callable[[str], None]) -> None:
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        connection.execute(COMPLETE, [ADDRESS])
    page.reload()
    page.get_by_role("link", name="Write a review").click()
    page.get_by_label("5, very good").check()
    page.get_by_label("In your words").fill("Both doors close again.")
    page.get_by_role("button", name="Send the review").click()
    expect(page.get_by_role("heading", name="Thank you for your review")).to_be_visible()
    page.goto(f"{site.url}/my-visits/")
    page.get_by_label("Your e-mail address").fill(ADDRESS)
    page.get_by_role("button", name="Send me the link").click()
    page.goto(link(site, "/my-visits/open/"))
    judge("own page, before it is opened")
    page.get_by_role("button", name="Show my visits").click()
    page.get_by_role("button", name="Book again").wait_for()
    judge("own page")
    page.get_by_role("button", name="Book again").click()
    expect(page.get_by_label("Address of the job")).to_have_value("1 Sample Street")
    page.get_by_label("Keep these details").check()
    page.get_by_role("button", name="Book this visit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked. See you")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_it_leads_a_customer_from_a_postcode_to_the_next_visit(
    stack: Callable[..., Stack], chromium: Browser, script: bool
) -> None:
    site, errors, found = stack(worker=True), list[str](), dict[str, object]()
    with chromium.new_context(java_script_enabled=script, viewport={"width": 390, "height": 844}) as context:
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))

        def judge(name: str) -> None:
            if script and (wrong := violations(page)):
                found[name] = wrong

        choose(page, site)
        book(page, judge)
        change(page, site, judge)
        review_and_book_again(page, site, judge)
    assert (errors, found) == ([], {})
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        kept = connection.execute("SELECT count(*) FROM bookings_visitphoto").fetchone()
    assert kept == (1,), "the photo stayed with its visit through the changes"
