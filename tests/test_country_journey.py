"""The real site of a business elsewhere: its postcodes, phones, money and dates, from its first page to its e-mail."""

import os
import re
from collections.abc import Callable

import psycopg
import pytest
from playwright.sync_api import Page, expect

from harness.stack import Stack, manage
from tests.mailbox import wait_for_letter

NEW_YORK = {
    "BUSINESS_COUNTRY": "US", "BUSINESS_TIME_ZONE": "America/New_York", "BUSINESS_PHONE": "212 555 0199",
    "BUSINESS_ADDRESS": "4 Mallet Yard, New York, NY 10001",
}  # fmt: skip


@pytest.fixture
def empty_database(demo_database: str) -> str:
    """The site's database before any demo business."""
    with psycopg.connect(demo_database, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE bookings_service, bookings_handyman, bookings_servicearea, bookings_holiday CASCADE"
        )
    return demo_database


def start(stack: Callable[..., Stack], database: str, **environment: str) -> Stack:
    settings = {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings", **environment}
    manage("demo", env={**os.environ, **settings})
    return stack(env=environment, worker=True)


def book(page: Page, site: Stack, **typed: str) -> None:
    page.goto(f"{site.url}/services/tap-repair/")
    page.get_by_role("link", name="See free times").click()
    page.get_by_role("link", name="Later").click()
    expect(page.locator("[data-id=previous]")).to_be_visible()
    page.locator(".tape a:not(.full)").last.click()
    page.locator("ul.slots a").first.click()
    for label, text in typed.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(text)
    page.get_by_label("Keep these details").check()
    page.get_by_role("button", name="Book this visit").click()


def test_new_york_books_with_its_zip_code(stack: Callable[..., Stack], empty_database: str, page: Page) -> None:
    site = start(stack, empty_database, **NEW_YORK)
    page.goto(f"{site.url}/")
    expect(page.locator("html")).to_have_attribute("lang", "en-US")
    expect(page.locator("footer")).to_contain_text("212 555 0199")
    expect(page.locator("footer a[href^='tel:']")).to_have_attribute("href", "tel:+1-212-555-0199")
    expect(page.locator("body")).not_to_contain_text("£")
    page.get_by_label("Do we come to you?").fill("10001")
    page.get_by_role("button", name="Check ZIP code").click()
    expect(page.get_by_role("status")).to_contain_text("Yes, we come to 10001.")
    details = {"Your_name": "Robin Example", "E-mail": "robin@example.com", "Phone": "2125550100 ext 4",
               "Address_of_the_job": "1 Sample Street\nNew York, NY"}  # fmt: skip
    book(page, site, **details, ZIP_code="SE15 4QL")
    expect(page.get_by_role("alert")).to_contain_text("Enter a full ZIP code, such as")
    page.get_by_label("ZIP code", exact=True).fill("10001")
    page.get_by_role("button", name="Book this visit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Booked\. See you \w+day, [A-Z][a-z]+ \d+\."))
    expect(page.locator("aside")).to_contain_text("New York, NY 10001")
    expect(page.locator("aside")).to_contain_text("$85")
    letter = wait_for_letter(site, "robin@example.com", 1)
    assert "10001" in letter.text
    assert "$85" in letter.text
    with psycopg.connect(empty_database) as connection:
        kept = connection.execute("SELECT customer_phone, postcode FROM bookings_booking ORDER BY id DESC LIMIT 1")
        assert kept.fetchone() == ("(212) 555-0100 ext. 4", "10001")


def test_hong_kong_asks_for_no_postcode(stack: Callable[..., Stack], empty_database: str, page: Page) -> None:
    site = start(stack, empty_database, BUSINESS_COUNTRY="HK", BUSINESS_TIME_ZONE="Asia/Hong_Kong")
    page.goto(f"{site.url}/")
    expect(page.get_by_text("Do we come to you?")).to_have_count(0)
    book(page, site, **{"Your_name": "Robin Example", "E-mail": "robin@example.com", "Phone": "5123 4567",
                        "Address_of_the_job": "1 Queen's Road\nCentral"})  # fmt: skip
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked.")
    expect(page.locator("aside")).to_contain_text("HK$85")
    page.get_by_role("link", name="Move or cancel").click()
    page.goto(f"{page.url.partition('?')[0]}details/")
    expect(page.get_by_label("Address of the job")).to_be_visible()
    expect(page.locator("label", has_text="ostcode")).to_have_count(0)
    assert "confirmed" in wait_for_letter(site, "robin@example.com", 1).text
