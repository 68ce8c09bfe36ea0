"""The visit as a calendar entry: what it says, and how a later one replaces it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from icalendar import Calendar

from bookings import scheduling
from bookings.messaging import calendar_entry
from bookings.models import Booking
from bookings.scheduling import By, holds
from tests import factories

pytestmark = pytest.mark.django_db


def entry(booking: Booking) -> tuple[str, Any]:
    """The method and the event, as a calendar reads them from the file."""
    read = Calendar.from_ical(calendar_entry.invitation(booking).to_ical())
    (event,) = read.walk("VEVENT")
    return str(read["method"]), event


@pytest.fixture
def booking() -> Booking:
    service = factories.service(name="Shelves", duration_minutes=120)
    factories.handyman(service, name="Grace Bennett")
    asked: dict[str, Any] = {"customer": factories.customer(), "idempotency_key": "form"}
    return scheduling.book(service=service, starts_at=factories.tomorrow(9, days=5), **asked)


def test_it_lasts_from_the_window_to_the_latest_end_and_tells_the_window(booking: Booking) -> None:
    booking.take_time(datetime(2031, 7, 1, 8, tzinfo=UTC))
    method, event = entry(booking)
    assert (method, event["status"]) == ("REQUEST", "CONFIRMED")
    assert event.decoded("dtstart") == datetime(2031, 7, 1, 8, tzinfo=UTC)
    assert event.decoded("dtend") == datetime(2031, 7, 1, 11, tzinfo=UTC), "arrival by nine and two hours of work"
    assert "arrival 9am to 10am" in event["summary"]
    assert "Grace Bennett arrives between 9am and 10am." in event["description"]
    assert "2 hours" in event["description"]


def test_it_replaces_the_entry_when_moved_and_takes_it_away_when_cancelled(booking: Booking) -> None:
    _, first = entry(booking)
    moved = scheduling.move(booking=booking, starts_at=factories.tomorrow(10, days=6), by=By.CUSTOMER)
    _, second = entry(moved)
    method, last = entry(scheduling.cancel(booking=moved, by=By.CUSTOMER))
    assert (method, last["status"]) == ("CANCEL", "CANCELLED")
    assert [each["sequence"] for each in (first, second, last)] == [0, 1, 2]
    assert first["uid"] == second["uid"] == last["uid"]
    assert str(first["uid"]).startswith(booking.reference)


def test_it_is_tentative_until_the_deposit_is_paid(
    booking: Booking, client: Client, settings: pytest.FixtureRequest
) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_x"  # type: ignore[attr-defined]  # pytest-django's settings
    booking.service.deposit_pence = 2000
    held = scheduling.hold(
        service=booking.service,
        starts_at=factories.tomorrow(14),
        customer=factories.customer(),
        idempotency_key="held",
        expires_in=timedelta(minutes=15),
    )
    page = client.get(f"{held.get_absolute_url()}calendar.ics")
    assert b"STATUS:TENTATIVE" in page.content
    _, tentative = entry(held)
    assert "until the deposit is paid" in tentative["description"]
    _, certain = entry(scheduling.confirm(booking=held, by=By.SYSTEM))
    assert certain["status"] == "CONFIRMED"


def test_it_counts_on_when_a_hold_runs_out_and_is_paid_all_the_same(booking: Booking) -> None:
    held = scheduling.hold(
        service=booking.service,
        starts_at=factories.tomorrow(14),
        customer=factories.customer(),
        idempotency_key="held",
        expires_in=timedelta(minutes=15),
    )
    holds.release_expired(now=timezone.now() + timedelta(minutes=16))
    held.refresh_from_db()
    method, gone = entry(held)
    back, again = entry(scheduling.reinstate(booking=held))
    assert (method, back) == ("CANCEL", "REQUEST")
    assert [gone["sequence"], again["sequence"]] == [1, 2]
