"""How a booking ends: cancelled, done or missed, and taking that back. Staff record what became of a visit once it has
begun; for a day they can undo it.

A hold that ran out before its deposit came is taken back as well.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from bookings.messaging import outbox
from bookings.models import Booking, BookingEvent, Status
from bookings.scheduling import deposits, errors, history
from bookings.scheduling.errors import NotPossible, SlotTaken, TooEarly, TooLate
from bookings.scheduling.history import By, Kind
from bookings.scheduling.retries import atomically, violated_constraint
from bookings.scheduling.slot_requests import SlotRequest, commit, with_first_free
from bookings.scheduling.transitions import change, locked, promise, require_changeable

UNDO_WITHIN = timedelta(days=1)
_ENDS = {Status.COMPLETED: Kind.COMPLETED, Status.NO_SHOW: Kind.NO_SHOW, Status.CANCELLED: Kind.CANCELLED}
_MADE = (Kind.CREATED, Kind.CONFIRMED, Kind.REINSTATED)


def complete(*, booking: Booking, user: User | None = None, now: datetime | None = None) -> Booking:
    """Record that the job is done. Raises TooEarly before the visit's start, or NotPossible."""
    return _end(booking, Kind.COMPLETED, Status.COMPLETED, (Status.CONFIRMED,), user, now)


def no_show(*, booking: Booking, user: User | None = None, now: datetime | None = None) -> Booking:
    """Record that the customer was not there. Raises TooEarly before the visit's start, or NotPossible."""
    return _end(booking, Kind.NO_SHOW, Status.NO_SHOW, (Status.CONFIRMED, Status.COMPLETED), user, now)


def _end(
    booking: Booking, kind: Kind, status: Status, allowed: Sequence[Status], user: User | None, now: datetime | None
) -> Booking:
    """Record how a visit ended; it must have begun."""

    def check(current: Booking) -> None:
        if (now or timezone.now()) < current.starts_at:
            raise TooEarly

    after = outbox.after_completion if status == Status.COMPLETED else None
    return change(booking, kind, status, allowed=allowed, by=By.STAFF, user=user, check=check, after=after)


def undoable_until(booking: Booking) -> datetime | None:
    """Until when `undo` takes back how this visit ended; None where there is nothing to take back."""
    end = _end_of(booking)
    return end.at + UNDO_WITHIN if end is not None else None


def undo(*, booking: Booking, user: User | None = None, now: datetime | None = None) -> Booking:
    """Take back, within a day, that a visit was completed, missed or cancelled: it is confirmed again.

    The customer is told where they had been told that it was off. Raises NotPossible where there is nothing to take
    back, TooLate after a day, SlotTaken or SlotUnavailable where its handyman has no longer the time for it.
    """
    now = now or timezone.now()
    request = SlotRequest(
        service=booking,
        postcode=booking.postcode,
        starts_at=booking.starts_at,
        handyman=booking.handyman,
        by=By.STAFF,
        user=user,
        now=now,
        moving=booking,
        overtime=booking.overtime,
    )

    def attempt(handyman_id: int | None = None) -> Booking:
        current = locked(booking)
        was = _require_undoable(current, now)
        if handyman_id is not None:
            again = replace(request, service=current, postcode=current.postcode)
            current.handyman, slot = commit(again, handyman_id)
            current.take_time(current.starts_at, slot.planned[0], kept=slot.buffer)
        current.status = Status.CONFIRMED
        current.sequence += was == Status.CANCELLED
        promise(current, now)
        current.save()
        kind = Kind.REINSTATED if was == Status.CANCELLED else Kind.REOPENED
        history.record(current, kind, by=By.STAFF, user=user, note=f"was {was.label.lower()}")
        if was == Status.CANCELLED:
            outbox.after_undone_cancellation(current)
        return current

    with errors.published(booking.service, "undo"):
        was = _require_undoable(booking, now)
        if was != Status.COMPLETED and booking.starts_at > now:
            return with_first_free(request, attempt)
        try:  # what has begun is offered to nobody; another visit may still stand there
            return atomically(attempt)
        except IntegrityError as error:
            if violated_constraint(error) != "booking_no_overlap":
                raise
            raise SlotTaken from error


def reinstate(*, booking: Booking, now: datetime | None = None) -> Booking:
    """Confirm a booking whose hold had run out before it was paid, with its handyman if free, else another.

    A customer who had asked for him gets no other. Raises NotPossible, SlotUnavailable or SlotTaken when it is gone.
    """
    now = now or timezone.now()
    request = SlotRequest(
        service=booking,
        postcode=booking.postcode,
        starts_at=booking.starts_at,
        handyman=booking.handyman if booking.asked_for_handyman else None,
        by=By.SYSTEM,
        now=now,
        moving=booking,
        overtime=booking.overtime,
    )

    def attempt(handyman_id: int) -> Booking:
        current = locked(booking)
        if current.status != Status.CANCELLED:
            raise NotPossible
        again = replace(request, service=current, postcode=current.postcode)
        current.handyman, slot = commit(again, handyman_id)
        current.take_time(request.starts_at, slot.planned[0], kept=slot.buffer)
        current.status = Status.CONFIRMED
        current.proven_at = now
        current.sequence += 1
        promise(current, now)
        current.save()
        history.record(current, Kind.REINSTATED, by=By.SYSTEM)
        outbox.after_booking(current)
        return current

    with errors.published(booking.service, "reinstate"):
        return with_first_free(request, attempt)


def _end_of(booking: Booking) -> BookingEvent | None:
    """What ended the visit, if staff or the customer did, and it had been more than a slot held for somebody."""
    kind = _ENDS.get(Status(booking.status))
    happened = list(booking.events.filter(kind__in=(*_ENDS.values(), *_MADE, Kind.EXPIRED)))
    end = happened[-1] if happened else None
    was_made = any(event.kind in _MADE for event in happened)
    return end if end is not None and end.kind == kind and was_made else None


def _require_undoable(booking: Booking, now: datetime) -> Status:
    """The status that would be taken back. Raises NotPossible or TooLate."""
    end = _end_of(booking)
    if end is None:
        raise NotPossible
    if now > end.at + UNDO_WITHIN:
        raise TooLate
    return Status(booking.status)


def cancel(
    *,
    booking: Booking,
    by: By,
    user: User | None = None,
    note: str = "",
    asked: bool = False,
    keep_deposit: bool = False,
    now: datetime | None = None,
) -> Booking:
    """Call a visit off and tell the customer; a deposit goes back unless staff keep it. Does nothing when it is off.

    When staff cancel, the customer reads `note` as the reason; `asked` says that they had asked for it themselves.

    Raises TooLate or NotPossible.
    """
    now = now or timezone.now()

    def check(current: Booking) -> None:
        require_changeable(current, by, now)

    return change(
        booking,
        Kind.CANCELLED,
        Status.CANCELLED,
        allowed=(Status.HELD, Status.CONFIRMED),
        by=by,
        user=user,
        note=note,
        asked=asked,
        check=check,
        after=partial(deposits.let_go, keep=keep_deposit),
    )
