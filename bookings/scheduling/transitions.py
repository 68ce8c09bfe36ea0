"""What every change of a booking's status has in common: the row's lock, its history, e-mails and event."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from bookings.messaging import outbox, reminders
from bookings.models import Booking, Status
from bookings.scheduling import errors, history
from bookings.scheduling.errors import NotPossible, TooLate
from bookings.scheduling.history import By, Kind
from bookings.scheduling.retries import atomically


def change(
    booking: Booking,
    kind: Kind,
    status: Status,
    *,
    allowed: Sequence[Status],
    by: By,
    user: User | None,
    note: str = "",
    asked: bool = False,
    check: Callable[[Booking], None] | None = None,
    after: Callable[[Booking], None] | None = None,
) -> Booking:
    """Move a booking to another status; the row lock makes concurrent changes take turns."""

    def work() -> Booking:
        current = locked(booking)
        if current.status == status:
            return current
        if current.status not in allowed:
            raise NotPossible
        if check is not None:
            check(current)
        was_held = current.status == Status.HELD
        current.status = status
        current.hold_expires_at = None
        if status == Status.CANCELLED:
            current.sequence += 1
        elif status == Status.CONFIRMED:
            promise(current, timezone.now())
            current.proven_at = timezone.now()  # its link was opened, its deposit paid, or staff know who it is
        current.save()
        history.record(current, kind, by=by, user=user, note=note, asked=asked)
        if status == Status.CONFIRMED:
            outbox.after_booking(current)
        elif status == Status.CANCELLED and not was_held:
            outbox.after_cancellation(current)
        if after is not None:
            after(current)
        return current

    with errors.published(booking.service, kind.value):
        return atomically(work)


def locked(booking: Booking) -> Booking:
    """The booking as it is now, locked until the transaction ends."""
    current = Booking.objects.for_change(booking.pk)
    current.service = booking.service  # it never changes, and need not be read again
    return current


def promise(booking: Booking, now: datetime) -> None:
    """Promise some minutes to mend a mistake in what was just chosen, and a reminder if there is a day left for one."""
    booking.grace_until = now + timedelta(minutes=settings.BOOKING_GRACE_MINUTES)
    booking.reminder_at = reminders.due_at(booking.starts_at, now)


def require_changeable(booking: Booking, by: By, now: datetime) -> None:
    """Raise NotPossible or TooLate where it can no longer be moved or cancelled."""
    if not booking.is_open:
        raise NotPossible
    if by == By.CUSTOMER and not booking.can_be_changed(now):
        raise TooLate
