"""Slots kept for a while, and given back when the time is up."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from bookings.models import Booking, BookingQuerySet, Status
from bookings.scheduling import deposits, history


def release_expired(*, now: datetime | None = None, among: BookingQuerySet | None = None) -> int:
    """Give back every slot whose hold has run out; returns how many. `among` limits it to these bookings."""
    expired = (Booking.objects.all() if among is None else among).filter(
        status=Status.HELD, hold_expires_at__lte=now or timezone.now()
    )
    with transaction.atomic(savepoint=False):
        # One that is being confirmed at this moment is not expired: leave it to that.
        bookings = list(expired.select_for_update(skip_locked=True, of=("self",)).select_related("service"))
        for booking in bookings:
            release(booking)
    return len(bookings)


def release(booking: Booking) -> None:
    """Give back a held slot, whose row is locked; nobody is written to."""
    booking.status = Status.CANCELLED
    booking.hold_expires_at = None
    booking.sequence += 1
    booking.save(update_fields=["status", "hold_expires_at", "sequence"])
    history.record(booking, history.Kind.EXPIRED, by=history.By.SYSTEM)
    deposits.let_go(booking)
