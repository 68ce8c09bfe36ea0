"""A booking gets another time, or another handyman."""

from dataclasses import replace
from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from bookings.messaging import outbox
from bookings.models import Booking, Handyman
from bookings.scheduling import errors, history, proofs
from bookings.scheduling.history import By, Kind
from bookings.scheduling.slot_requests import SlotRequest, commit, with_first_free
from bookings.scheduling.transitions import locked, promise, require_changeable


def move(
    *,
    booking: Booking,
    starts_at: datetime,
    by: By,
    handyman: Handyman | None = None,
    user: User | None = None,
    anybody: bool = False,
    overtime: bool = False,
    postcode: str | None = None,
    now: datetime | None = None,
) -> Booking:
    """Give a booking a new time, with its handyman if free, else another (or with `handyman` alone).

    `postcode` is where it will be, if that is about to be corrected. A customer who had asked for their handyman keeps
    him, unless they now ask for another or `anybody`. Moving to where it is does nothing; `overtime` as for `book`.
    Raises TooLate, NotPossible, SlotUnavailable, SlotTaken or TooManyUnproven.
    """
    if by == By.CUSTOMER and booking.asked_for_handyman and not anybody:
        handyman = handyman or booking.handyman
    request = SlotRequest(
        service=booking,
        postcode=booking.postcode if postcode is None else postcode,
        starts_at=starts_at,
        handyman=handyman,
        by=by,
        user=user,
        now=now or timezone.now(),
        moving=booking,
        overtime=overtime,
    )

    def is_there(current: Booking) -> bool:
        right_handyman = handyman is None or handyman.pk == current.handyman_id
        return current.is_open and current.starts_at == starts_at and right_handyman

    def attempt(handyman_id: int) -> Booking:
        current = locked(booking)
        if is_there(current):  # the same form, posted twice
            return current
        require_changeable(current, request.by, request.now)
        proofs.require_few_changes(current, request.by, request.now)
        where = current.postcode if postcode is None else postcode
        taker, slot = commit(replace(request, service=current, postcode=where), handyman_id)
        was_at, was_with = current.starts_at, current.handyman
        before = f"{timezone.localtime(was_at):%a %d %b %Y %H:%M} with {was_with.name}"
        if by == By.CUSTOMER:
            current.asked_for_handyman = request.handyman is not None
        else:
            current.asked_for_handyman &= taker == was_with
        current.handyman = taker
        current.take_time(request.starts_at, slot.planned[0], kept=slot.buffer)
        current.overtime = overtime
        current.sequence += 1
        promise(current, request.now)
        current.save()
        history.record(
            current,
            Kind.MOVED,
            by=request.by,
            user=request.user,
            note=f"from {before}",
            was_at=was_at,
            was_with=was_with,
        )
        outbox.after_move(current)
        return current

    with errors.published(booking.service, "move"):
        if is_there(booking):
            return booking
        require_changeable(booking, request.by, request.now)
        return with_first_free(request, attempt)
