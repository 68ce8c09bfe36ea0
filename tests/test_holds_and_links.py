"""Slots that are held for a while, and the links by which customers open their bookings."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bookings import scheduling
from bookings.models import Booking, Status
from bookings.scheduling import By, holds
from tests import factories
from tests.scheduled import book, jobs

pytestmark = pytest.mark.django_db


def test_it_holds_a_slot_until_the_time_is_up() -> None:
    service = factories.service()
    factories.handyman(service)
    at, now = factories.tomorrow(9), timezone.now()
    asked: dict[str, Any] = {"service": service, "starts_at": at, "customer": factories.customer()}
    held = scheduling.hold(**asked, idempotency_key="held", expires_in=timedelta(minutes=15), now=now)
    assert jobs() == []
    with pytest.raises(scheduling.SlotTaken):
        book(service=service, starts_at=at)
    taken = book(service=service, starts_at=at, now=now + timedelta(minutes=16))
    held.refresh_from_db()
    assert (held.status, taken.status) == (Status.CANCELLED, Status.CONFIRMED)
    with pytest.raises(scheduling.NotPossible):
        scheduling.confirm(booking=held, by=By.SYSTEM)


def test_it_confirms_a_hold_and_releases_only_what_has_run_out() -> None:
    service = factories.service()
    factories.handyman(service)
    asked: dict[str, Any] = {"service": service, "customer": factories.customer(), "expires_in": timedelta(minutes=15)}
    kept = scheduling.hold(**asked, starts_at=factories.tomorrow(9), idempotency_key="1")
    scheduling.hold(**asked, starts_at=factories.tomorrow(14), idempotency_key="2")
    scheduling.confirm(booking=kept, by=By.SYSTEM)
    assert holds.release_expired() == 0
    assert holds.release_expired(now=timezone.now() + timedelta(minutes=16)) == 1
    assert "send_booking_email" in jobs()


def test_it_opens_a_booking_by_its_link_alone() -> None:
    service = factories.service()
    booking = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(9))
    token = booking.link_token
    assert Booking.objects.for_link(token) == booking
    for forged in (
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        "",
        "x",
        "ü" * 500,
        token.split(":")[0],
        "::",
        "\0",
    ):
        with pytest.raises(Booking.DoesNotExist):
            Booking.objects.for_link(forged)
    Booking.objects.filter(pk=booking.pk).update(link_key="another")
    with pytest.raises(Booking.DoesNotExist):
        Booking.objects.for_link(token)


def test_it_lets_a_link_expire() -> None:
    service = factories.service()
    long_ago = factories.tomorrow(9, days=-40)
    booking = factories.booking(service=service, handyman=factories.handyman(service), starts_at=long_ago)
    with pytest.raises(Booking.DoesNotExist):
        Booking.objects.for_link(booking.link_token)
