"""The form that books: what it keeps, refuses and offers instead."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from bookings import scheduling
from bookings.messaging import emails
from bookings.models import (
    Booking,
    Handyman,
    Service,
    Status,
    WorkingHours,
)
from bookings.slots.rules import Slot
from tests.pages import TYPED, free_slot, iso, post, text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files", "demo_business")]


@pytest.fixture
def service() -> Service:
    return Service.objects.get(slug="tap-repair")


@pytest.fixture
def slot(service: Service) -> Slot:
    return free_slot(service)


def test_it_books_and_shows_the_confirmation(client: Client, slot: Slot) -> None:
    response = post(client, TYPED | {"start": iso(slot.starts_at)})
    booking = Booking.objects.get(customer_email="robin@example.com")
    assert response.status_code == 302
    assert (booking.starts_at, booking.postcode, booking.status) == (slot.starts_at, "SE1 7PB", Status.CONFIRMED)
    page = text(client.get(response["Location"]))
    assert "Booked. See you" in page
    assert booking.reference in page


def test_it_makes_one_booking_of_a_form_posted_twice(client: Client, slot: Slot) -> None:
    posted = TYPED | {"start": iso(slot.starts_at)}
    first, second = post(client, posted), post(client, posted)
    assert [first.status_code, second.status_code] == [302, 302]
    booking = Booking.objects.get(customer_email="robin@example.com")
    assert booking.reference in text(client.get(second["Location"]))


def assert_kept(page: str) -> None:
    for name in ("customer_name", "customer_email", "customer_phone", "address", "postcode", "notes"):
        assert TYPED[name] in page, f"{name} was lost"
    assert re.search(r'name="consent"[^>]*checked', page)
    assert TYPED["key"] in page


def refuse(client: Client, start: str, sentence: str, status: int = 422, **extra: str) -> str:
    response = post(client, TYPED | {"start": start} | extra)
    page = text(response)
    assert response.status_code == status
    assert sentence in page
    assert_kept(page)
    assert not Booking.objects.filter(customer_email="robin@example.com").exists()
    assert "<title>Error: " in page
    return page


def assert_offers(client: Client, page: str) -> None:
    """Every window on offer can really be had: the first is booked."""
    offered = re.findall(r'type="radio" name="start" value="([^"]+)"', page)
    assert 1 <= len(offered) <= 6
    assert post(client, TYPED | {"start": offered[0]}).status_code == 302


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda at: at + timedelta(minutes=7), "Visits do not start at that time"),
        (lambda at: at - timedelta(days=400), "That time has gone by"),
        (lambda at: at + timedelta(days=400), "further ahead than we take bookings"),
        (lambda at: at.replace(hour=2), "No handyman works at that time"),
    ],
)
def test_it_offers_the_nearest_windows_for_a_slot_that_never_was(
    client: Client, slot: Slot, change: object, sentence: str
) -> None:
    page = refuse(client, iso(change(slot.starts_at)), sentence)  # type: ignore[operator] # the lambdas above
    assert_offers(client, page)


def test_it_refuses_a_slot_within_the_notice_period(client: Client, settings: object) -> None:
    settings.BOOKING_NOTICE_HOURS = 24 * 30  # type: ignore[attr-defined] # pytest-django's settings
    soon = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    assert_offers(client, refuse(client, iso(soon), "too soon for us"))


@pytest.mark.parametrize("start", ["", "soon", "2026-11-26", "2026-11-26T09:00", "9999-12-31T23:59:00-14:00", "\x00"])
def test_it_asks_for_a_window_when_the_posted_one_cannot_be_read(client: Client, start: str) -> None:
    assert_offers(client, refuse(client, start, "Pick an arrival window"))


def test_it_answers_409_when_the_slot_was_lost_to_somebody_else(client: Client, service: Service, slot: Slot) -> None:
    customer = scheduling.Customer(
        customer_name="Quick", customer_email="quick@example.com", customer_phone="07700 900201",
        address="2 Sample Street", postcode="SE1 7PB",
    )  # fmt: skip
    for number in slot.handyman_ids:
        scheduling.book(service=service, starts_at=slot.starts_at, customer=customer, idempotency_key=f"quick-{number}")
    page = refuse(client, iso(slot.starts_at), "has just been taken", 409)
    assert_offers(client, page)


def test_it_offers_anybody_when_the_wanted_handyman_has_nothing_near(client: Client, slot: Slot) -> None:
    wanted = Handyman.objects.get(pk=slot.handyman_ids[0])
    WorkingHours.objects.filter(handyman=wanted).delete()
    night = slot.starts_at.replace(hour=2)
    page = refuse(client, iso(night), "No handyman works at that time", handyman=wanted.slug)
    assert_offers(client, page)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("customer_name", "", "Enter your name"),
        ("customer_email", "robin@", "Enter an e-mail address like"),
        ("customer_phone", "call me", "Enter a phone number with its area code"),
        ("address", " ", "Enter the address of the job"),
        ("postcode", "12345", "Enter a full postcode, such as"),
        ("postcode", "ZE1 0AA", "We do not come to this postcode yet"),
        ("customer_name", "x" * 121, "at most 120 characters"),
        ("notes", "x" * 2001, "at most 2000 characters"),
        ("notes", "a\x00b", "Null characters are not allowed"),
        ("customer_email", "x" * 250 + "@example.com", "at most 254 characters"),
        ("customer_email", '"\x01"@example.com', "Enter an e-mail address like"),
        ("postcode", "SE\u0661 \u0667PB", "Enter a full postcode, such as"),
    ],
)
def test_it_names_the_field_to_correct_and_keeps_the_rest(
    client: Client, slot: Slot, field: str, value: str, sentence: str
) -> None:
    response = post(client, TYPED | {"start": iso(slot.starts_at), field: value})
    page = text(response)
    assert response.status_code == 422
    assert page.count(sentence) == 2, "once in the summary and once at the field"
    assert f'href="#id_{field}"' in page
    assert f'id="id_{field}_error"' in page
    assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', page)
    for name, typed in TYPED.items():
        assert name in (field, "consent", "postcode") or typed in page
    assert iso(slot.starts_at) in page


def test_it_asks_for_consent(client: Client, slot: Slot) -> None:
    response = post(client, {k: v for k, v in TYPED.items() if k != "consent"} | {"start": iso(slot.starts_at)})
    assert response.status_code == 422
    assert 'href="#id_consent"' in text(response)


def test_it_shows_other_windows_without_losing_what_was_typed(client: Client, slot: Slot) -> None:
    response = post(client, TYPED | {"start": iso(slot.starts_at), "change": "1"})
    assert response.status_code == 200
    assert_kept(text(response))
    assert len(re.findall(r'type="radio" name="start"', text(response))) > 1
    assert not Booking.objects.filter(customer_email="robin@example.com").exists()


def test_it_asks_again_when_the_wanted_handyman_does_not_do_the_job(client: Client, slot: Slot) -> None:
    page = refuse(client, iso(slot.starts_at), "does not do this job", handyman="nobody")
    assert_offers(client, page)
    assert iso(slot.starts_at) in page, "the window itself, where somebody else is free"


def test_it_writes_to_a_name_of_two_lines(client: Client, slot: Slot) -> None:
    name = {"customer_name": "Robin\r\nBcc: other@example.com"}
    post(client, TYPED | {"start": iso(slot.starts_at)} | name)
    booking = Booking.objects.get(customer_email="robin@example.com")
    written = emails.booking_email(booking, "confirmation").message()
    assert written["Bcc"] is None
    assert "robin@example.com" in written["To"]


def test_it_books_from_a_form_that_lost_its_key(client: Client, slot: Slot) -> None:
    assert post(client, TYPED | {"start": iso(slot.starts_at), "key": ""}).status_code == 302
