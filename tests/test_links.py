"""A booking's own page behind its link: dead links, moving, cancelling."""

from datetime import timedelta

import pytest
from django.core import signing
from django.test import Client
from django.utils import timezone

from bookings.messaging import emails
from bookings.models import (
    Booking,
    BookingEvent,
    Service,
    Status,
)
from bookings.slots import calendars
from tests.pages import booked, iso, text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files", "demo_business")]


@pytest.fixture
def service() -> Service:
    return Service.objects.get(slug="tap-repair")


@pytest.fixture
def booking(service: Service) -> Booking:
    return booked(service)


@pytest.mark.parametrize("what", ["forged", "expired", "revoked", "deleted"])
def test_it_meets_a_dead_link_with_a_404_and_a_way_to_get_help(client: Client, booking: Booking, what: str) -> None:
    token = booking.link_token
    if what == "forged":
        token = signing.dumps([booking.pk, booking.link_key], key="not ours", salt="bookings.link")
    elif what == "expired":
        gone = timedelta(days=90)
        booking.take_time(booking.starts_at - gone)
        booking.save()
    elif what == "revoked":
        Booking.objects.filter(pk=booking.pk).update(link_key="another")
    else:
        booking.delete()
    for suffix in ("", "confirmed/", "calendar.ics"):
        response = client.get(f"/bookings/{token}/{suffix}")
        assert response.status_code == 404
        assert "This link does not open a booking" in text(response)
        assert "tel:" in text(response)
    assert client.post(f"/bookings/{token}/", {"action": "cancel"}).status_code == 404


@pytest.mark.parametrize("token", ["x", "a:b:c", "%00", "WzEsMl0:1abc:" + "x" * 40, "é"])
def test_it_never_breaks_on_a_garbled_link(client: Client, token: str) -> None:
    assert client.get(f"/bookings/{token}/").status_code == 404


def test_it_promises_no_change_online_when_it_is_too_late_for_one(client: Client, booking: Booking) -> None:
    promise = "free of charge"
    assert promise in text(client.get(f"{booking.get_absolute_url()}confirmed/"))
    assert promise in emails.booking_email(booking, "reminder").body
    booking.take_time(timezone.now().replace(microsecond=0) + timedelta(hours=5))
    booking.grace_until = timezone.now() - timedelta(seconds=1)
    booking.save()
    assert promise not in text(client.get(f"{booking.get_absolute_url()}confirmed/"))
    for said in (emails.booking_email(booking, "reminder").body, text(client.get(f"{booking.get_absolute_url()}"))):
        assert promise not in said
        assert "we will find the fairest way" in said


def test_it_changes_nothing_on_get(client: Client, booking: Booking) -> None:
    client.get(booking.get_absolute_url(), {"action": "cancel"})
    client.head(booking.get_absolute_url())
    booking.refresh_from_db()
    assert booking.status == Status.CONFIRMED


def test_it_moves_by_the_link(client: Client, booking: Booking, service: Service) -> None:
    target = calendars.nearest_slots(service=service, starts_at=booking.starts_at, ignoring=booking)[-1]
    url = booking.get_absolute_url()
    response = client.post(url, {"action": "move", "start": iso(target.starts_at)}, follow=True)
    booking.refresh_from_db()
    assert booking.starts_at == target.starts_at
    assert "Moved." in text(response)
    assert booking.events.filter(kind=BookingEvent.Kind.MOVED, by=BookingEvent.By.CUSTOMER).count() == 1


def test_it_cancels_by_the_link(client: Client, booking: Booking) -> None:
    response = client.post(booking.get_absolute_url(), {"action": "cancel"}, follow=True)
    booking.refresh_from_db()
    assert booking.status == Status.CANCELLED
    assert "This visit is cancelled" in text(response)
    calendar = text(client.get(f"{booking.get_absolute_url()}calendar.ics"))
    assert "STATUS:CANCELLED" in calendar


def test_it_refuses_changes_after_the_deadline_and_says_to_ring(client: Client, booking: Booking) -> None:
    booking.take_time(timezone.now().replace(microsecond=0) + timedelta(hours=5))
    booking.grace_until = timezone.now() - timedelta(seconds=1)
    booking.save()
    assert "Cancel this visit" not in text(client.get(booking.get_absolute_url()))
    response = client.post(booking.get_absolute_url(), {"action": "cancel"})
    assert response.status_code == 409
    assert "too close to the visit" in text(response)


@pytest.mark.parametrize(
    ("posted", "status"),
    [
        ({"action": "move"}, 422),
        ({"action": "move", "start": "2020-01-01T09:00:00Z"}, 422),
        ({"action": "explode"}, 422),
        ({}, 422),
    ],
)
def test_it_changes_nothing_on_a_bad_request(client: Client, booking: Booking, posted: object, status: int) -> None:
    response = client.post(booking.get_absolute_url(), posted)
    assert response.status_code == status
    assert "Nothing has changed" in text(response)
    assert Booking.objects.get(pk=booking.pk).starts_at == booking.starts_at
