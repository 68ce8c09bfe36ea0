"""What happened to a booking: a row that stays, and an event for whoever listens."""

from django.contrib.auth.models import User

from . import events
from .models import Booking, BookingEvent

Kind = BookingEvent.Kind
By = BookingEvent.By
_EVENTS: dict[Kind, type[events.BookingEvent]] = {
    Kind.HELD: events.BookingHeld,
    Kind.CREATED: events.BookingCreated,
    Kind.CONFIRMED: events.BookingConfirmed,
    Kind.MOVED: events.BookingMoved,
    Kind.CANCELLED: events.BookingCancelled,
    Kind.COMPLETED: events.BookingCompleted,
    Kind.NO_SHOW: events.BookingNoShow,
    Kind.EXPIRED: events.HoldExpired,
    Kind.CHECKOUT: events.CheckoutOpened,
    Kind.PAID: events.DepositPaid,
    Kind.REINSTATED: events.BookingReinstated,
    Kind.REFUNDING: events.RefundOwed,
    Kind.REFUNDED: events.DepositRefunded,
}


def record(booking: Booking, kind: Kind, *, by: By, user: User | None = None, note: str = "") -> None:
    """Write the history row in the current transaction, and publish the event once that is committed."""
    BookingEvent.objects.create(booking=booking, kind=kind, by=by, user=user, note=note[:200])
    events.publish(_EVENTS[kind](booking_id=booking.pk, service=booking.service.slug, by=by.value))
