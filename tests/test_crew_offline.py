"""A handyman's day without a net, in Chromium on a phone: what he taps waits, conflicts are said, nothing stays."""

from collections.abc import Callable
from typing import Any, Literal

import psycopg
import pytest
from playwright.sync_api import FilePayload, Page, expect

from harness.stack import BASE_DIR, Stack, wait_for
from tests.pictures import png

AXE = (BASE_DIR / "node_modules/axe-core/axe.min.js").read_text()
DAY = """
from datetime import timedelta
from django.contrib.auth.models import Group, User
from django.utils import timezone
from bookings.models import Booking, BookingEvent, Handyman, Service
from bookings.slots.calendars import midnight
user = User.objects.create_user("amara", password="a-pass-1", is_staff=True)
user.groups.add(Group.objects.get(name="Handymen"))
Handyman.objects.filter(slug="amara").update(user=user)
Booking.objects.filter(handyman__slug="amara").delete()
for number, (days, hour) in enumerate(((0, 8), (0, 11), (0, 14), (1, 9)), start=1):
    booking = Booking(service=Service.objects.get(slug="tap-repair"), handyman=Handyman.objects.get(slug="amara"),
        customer_name=f"Customer {number}", customer_email=f"c{number}@example.com", customer_phone="07700 900123",
        address=f"{number} Mill Lane", postcode="SE15 4QL", consent_at=timezone.now(), idempotency_key=f"day-{number}")
    booking.take_time(midnight(timezone.localdate() + timedelta(days=days)) + timedelta(hours=hour))
    booking.take_price()
    booking.save()
    BookingEvent.objects.create(booking=booking, kind="created", by="customer")
"""
MEANWHILE = """
from bookings import scheduling
from bookings.models import Booking, BookingEvent, Handyman
from bookings.scheduling import By
scheduling.cancel(booking=Booking.objects.get(customer_name="Customer 2"), by=By.STAFF)
third = Booking.objects.get(customer_name="Customer 3")
third.handyman, was = Handyman.objects.get(slug="dev"), third.handyman
third.save()
BookingEvent.objects.create(booking=third, kind="moved", by="staff", was_with=was, was_at=third.starts_at)
"""


@pytest.fixture
def site(stack: Callable[..., Stack]) -> Stack:
    running = stack()
    running.manage("shell", "-v0", "-c", DAY)
    return running


def rows(site: Stack, query: str) -> list[Any]:
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        return connection.execute(query.encode()).fetchall()


def objections(page: Page) -> list[str]:
    page.evaluate(AXE)
    return [each["id"] for each in page.evaluate("() => axe.run()")["violations"]]


def kept(page: Page) -> int:
    return int(page.evaluate("async () => (await caches.keys()).length"))


def test_a_day_without_a_net_loses_nothing_and_leaves_nothing(site: Stack, page: Page) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.extend([message.text] if "Policy" in message.text else []))
    page.goto(f"{site.url}/crew/")
    page.get_by_label("Username").fill("amara")
    page.get_by_label("Password").fill("a-pass-1")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for colours in schemes:
        page.emulate_media(color_scheme=colours)
        assert objections(page) == []
    for path in ("time-off", "phone"):
        page.goto(f"{site.url}/crew/{path}/")
        assert objections(page) == []
    page.goto(f"{site.url}/crew/")
    wait_for("today and tomorrow to be kept", lambda: kept(page) == 2)

    page.context.set_offline(True)
    page.goto(f"{site.url}/crew/")
    expect(page.get_by_text("as it was at")).to_be_visible()
    assert objections(page) == []
    tap: FilePayload = {"name": "tap.png", "mimeType": "image/png", "buffer": png()}
    first, second, third = (page.locator("article", has_text=f"Customer {number}") for number in (1, 2, 3))
    first.get_by_role("button", name="On my way").click()
    expect(first).to_contain_text("not sent yet")
    first.get_by_role("button", name="Arrived").click()
    page.evaluate("addEventListener('click', () => { globalThis.taps = (globalThis.taps ?? 0) + 1 })")
    for visit, words in ((first, "New washer."), (second, "Unblocked it.")):
        visit.locator("summary", has_text="Done").click()
        visit.get_by_label("What was done").fill(words)
        visit.get_by_label("Photos, up to five").set_input_files(tap)
        visit.get_by_role("button", name="Done").click()
        expect(visit).to_contain_text("Done")
    assert page.evaluate("taps") == 2 * 2, "two taps for a visit that is done"
    third.locator("summary", has_text="Could not").click()
    third.get_by_role("button", name="Nobody was in").click()
    expect(page.get_by_text("5 reports and 2 photos not sent yet")).to_be_visible()
    page.goto(f"{site.url}/crew/")
    expect(page.get_by_text("5 reports and 2 photos not sent yet")).to_be_visible()
    page.get_by_role("link", name="The other day").click()
    expect(page.get_by_text("4 Mill Lane")).to_be_visible()
    assert rows(site, "SELECT * FROM bookings_visitreport") == []

    site.manage("shell", "-v0", "-c", MEANWHILE)
    page.context.set_offline(False)
    board = page.locator("[data-board]")
    expect(board).to_contain_text("This visit was changed meanwhile")
    expect(board).to_contain_text("You wrote: “Unblocked it.”")
    expect(board).to_contain_text("This visit went to a colleague meanwhile")
    assert rows(site, "SELECT kind, refused, words FROM bookings_visitreport ORDER BY id") == [
        ("on_the_way", "", ""),
        ("arrived", "", ""),
        ("done", "", "New washer."),
        ("done", "not_possible", "Unblocked it."),
        ("no_show", "not_yours", ""),
    ]
    whose = "SELECT substr(jpeg, 1, 2), handyman_id IS NULL FROM bookings_visitphoto"
    assert rows(site, whose) == [(b"\xff\xd8", False)] * 2, "also of the visit that was cancelled meanwhile"
    assert rows(site, "SELECT status FROM bookings_booking WHERE customer_name = 'Customer 1'") == [("completed",)]
    for _ in range(2):
        board.get_by_role("button", name="Got it").first.click()
    expect(board.get_by_role("button")).to_have_count(0)
    page.goto(f"{site.url}/crew/")
    expect(page.locator("article", has_text="New washer.")).to_contain_text("Done")
    expect(board.get_by_role("button")).to_have_count(0)
    page.locator("article", has_text="New washer.").locator("details.past > summary").click()
    page.locator("article", has_text="New washer.").get_by_role("link", name="Photos of your work").click()
    page.get_by_label("Photos").set_input_files({**tap, "buffer": png("red")})
    page.get_by_role("button", name="Send the photos").click()
    expect(page.get_by_role("img", name="Photo 2 of the work")).to_be_visible()
    assert objections(page) == []

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("Logged out")).to_be_visible()
    left = "async () => [await caches.keys(), (await indexedDB.databases()).map((each) => each.name)]"
    wait_for("nothing to be left", lambda: page.evaluate(left) == [[], []])
    assert faults == []
