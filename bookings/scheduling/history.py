"""What happened to a booking: a row that stays, and an event for whoever listens."""

from datetime import datetime

from django.contrib.auth.models import User
from procrastinate.contrib.django import app

from bookings import events
from bookings.messaging import notifications
from bookings.models import Booking, BookingEvent, Handyman, WaitlistEntry

Kind = BookingEvent.Kind
By = BookingEvent.By
_EVENTS: dict[Kind, type[events.BookingEvent]] = {
    Kind.HELD: events.BookingHeld,
    Kind.CREATED: events.BookingCreated,
    Kind.CONFIRMED: events.BookingConfirmed,
    Kind.MOVED: events.BookingMoved,
    Kind.CORRECTED: events.BookingCorrected,
    Kind.CANCELLED: events.BookingCancelled,
    Kind.COMPLETED: events.BookingCompleted,
    Kind.NO_SHOW: events.BookingNoShow,
    Kind.EXPIRED: events.HoldExpired,
    Kind.CHECKOUT: events.CheckoutOpened,
    Kind.PAID: events.DepositPaid,
    Kind.REINSTATED: events.BookingReinstated,
    Kind.REOPENED: events.BookingReopened,
    Kind.REFUNDING: events.RefundOwed,
    Kind.REFUNDED: events.DepositRefunded,
}

_FREES = (Kind.MOVED, Kind.CANCELLED, Kind.EXPIRED)
"""What gives time back. Other ways to free time are found within a minute."""


def look_for_time() -> None:
    """Have free time offered to those who wait for it, once this transaction is committed."""
    app.configure_task(name="offer_free_time", lock="waitlist").defer(timestamp=0)


def record(
    booking: Booking,
    kind: Kind,
    *,
    by: By,
    user: User | None = None,
    note: str = "",
    asked: bool = False,
    was_at: datetime | None = None,
    was_with: Handyman | None = None,
) -> None:
    """Write the history row and the business's notifications in the current transaction; publish the event after it.

    `asked`: staff did it because the customer had asked. `was_at` and `was_with` are the start and the handyman that a
    moved booking had before.
    """
    row = BookingEvent.objects.create(
        booking=booking, kind=kind, by=by, user=user, note=note[:200], asked=asked, was_at=was_at, was_with=was_with
    )
    notifications.add(row)
    if kind in _FREES and WaitlistEntry.objects.waiting().exists():
        look_for_time()
    if event := _EVENTS.get(kind):  # what handymen report is published by `reports`
        events.publish(event(booking_id=booking.pk, service=booking.service.slug, by=by.value))


def changed_by_staff(booking: Booking) -> bool:
    """Whether staff have moved or corrected it."""
    return booking.events.filter(by=By.STAFF, kind__in=(Kind.MOVED, Kind.CORRECTED)).exists()
