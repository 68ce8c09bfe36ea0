"""A slot that somebody asks for: who could take it, and one of them taking it.

It is judged twice: to find out who is free, and again for the handyman who is chosen, once his row is locked.
Whoever changes his hours or his time off takes the same lock, so neither overlooks the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError
from django.db.models import QuerySet

from bookings.basket import Work
from bookings.kept_query import Asked, KeptQuery, Statement, columns, instance
from bookings.models import Booking, Handyman, Status
from bookings.scheduling import holds
from bookings.scheduling.errors import SlotTaken, SlotUnavailable, TooFar
from bookings.scheduling.history import By
from bookings.scheduling.retries import atomically, violated_constraint
from bookings.slots import assignment, calendars, why
from bookings.slots.rules import Reason, Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest:
    """A slot that somebody asks for. `service` may be a basket, or a booking with its jobs; `postcode` is where.

    `moving` is the booking that would leave its place for it.
    `instead` moves the booking that the same form has made, where the customer would be asked about it. `client` is
    the hash of limits.client; with None no e-mail address has to be proved.
    """

    service: Work
    starts_at: datetime
    now: datetime
    postcode: str | None
    handyman: Handyman | None = None
    by: By = By.CUSTOMER
    user: User | None = None
    moving: Booking | None = None
    instead: bool = False
    client: str | None = None
    overtime: bool = False
    """Out of hours, at an odd minute, or after too long a way, as staff have agreed with the handyman."""

    def find(self) -> Slot:
        """The free slot. Raises SlotUnavailable or SlotTaken, with alternatives."""
        found = self.judge(self.handyman)
        if isinstance(found, Slot):
            return found
        if found is Reason.TAKEN:
            raise SlotTaken(alternatives=self.alternatives())
        if found is Reason.TRAVEL:
            raise TooFar(alternatives=self.alternatives())
        raise SlotUnavailable(found, alternatives=self.alternatives())

    def judge(self, handyman: Handyman | None) -> Slot | Reason:
        """The free slot of this handyman, or of anybody, as things are now; or the reason why there is none."""
        return self._reader(handyman).find_slot(self.starts_at)

    def judge_locked(self, handyman_id: int) -> tuple[Handyman, list[int], Slot | Reason]:
        """The handyman, locked and given the visit; the holds that have run out in its way; and his free slot.

        One round trip. What is read after the lock is what its last holder has left.
        """
        until = self.starts_at + calendars.current_rules().window + self.service.duration + self.service.buffer
        lock = _GIVEN, (self.now, handyman_id)
        expired = _expired(), (handyman_id, self.now, self.starts_at, until)
        reader = self._reader(Handyman(pk=handyman_id), lock, expired)
        found = reader.find_slot(self.starts_at)
        (taker,), in_the_way = reader.before
        return instance(Handyman, taker), [pk for (pk,) in in_the_way], found

    def _reader(self, handyman: Handyman | None, *first: Asked) -> calendars.Reader:
        rules = calendars.current_rules() if self.by == By.CUSTOMER else calendars.staff_rules()
        return calendars.Reader(
            service=self.service,
            handyman=handyman,
            now=self.now,
            ignoring=self.moving,
            by_rules=why.at_odd_times(rules) if self.overtime else rules,
            overtime=self.overtime,
            postcode=self.postcode,
            first=first,
        )

    def alternatives(self) -> list[Slot]:
        return calendars.nearest_slots(
            service=self.service,
            starts_at=self.starts_at,
            handyman=self.handyman,
            now=self.now,
            ignoring=self.moving,
            postcode=self.postcode,
        )


def with_first_free(request: SlotRequest, attempt: Callable[[int], Booking]) -> Booking:
    """Try the handymen who are free in their turn, each in a transaction (or savepoint) of its own."""
    handyman_ids = assignment.nearest_first(request.find(), request.now)
    if request.moving is not None:
        handyman_ids.sort(key=request.moving.handyman_id.__ne__)
    for handyman_id in handyman_ids:
        try:
            return atomically(partial(attempt, handyman_id))
        except NoLongerFree:
            continue
        except IntegrityError as error:
            constraint = violated_constraint(error)
            if constraint == "booking_idempotency_key":
                raise SamePostedTwice from error
            if constraint != "booking_no_overlap":
                raise
    raise SlotTaken(alternatives=request.alternatives())


def commit(request: SlotRequest, handyman_id: int) -> tuple[Handyman, Slot]:
    """The handyman, locked and given the visit, and the slot as it is for him. Raises NoLongerFree."""
    taker, in_the_way, found = request.judge_locked(handyman_id)
    if not isinstance(found, Slot):
        raise NoLongerFree
    if in_the_way:
        # Holds that have run out stand in the constraint's way until their rows say so.
        holds.release_expired(now=request.now, among=Booking.objects.filter(pk__in=in_the_way))
    return taker, found


class NoLongerFree(Exception):
    """Between the first look and the lock the handyman's time went to somebody else, or he took it off."""


class SamePostedTwice(Exception):
    """The unique key says that this very form was booked meanwhile."""


_GIVEN = Statement(
    f"UPDATE bookings_handyman SET given_at = %s WHERE id = %s RETURNING {', '.join(columns(Handyman))}",  # noqa: S608
    Handyman,
)
"""Locks him as `for_change` does."""


@cache
def _expired() -> KeptQuery:
    def query(handyman_id: int, now: datetime, start: datetime, until: datetime) -> QuerySet[Any, Any]:
        held = Booking.objects.filter(status=Status.HELD, hold_expires_at__lte=now)
        return held.of(handyman_id).overlapping(start, until).order_by().values_list("pk")

    return KeptQuery(query, int, datetime, datetime, datetime)
