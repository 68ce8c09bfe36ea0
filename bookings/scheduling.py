"""Every change to a booking. The exclusion constraint `booking_no_overlap` judges races; what is read before is a hope.

A slot is judged twice: to find out who is free, and again for the handyman who is chosen, once his row is locked.
Whoever changes his hours or his time off takes the same lock, so neither overlooks the other.
All functions are keyword-only, run in their own transaction (or savepoint), write the booking's history, put the
e-mails into the outbox and publish an event. They raise a SchedulingError when a wish cannot be granted.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from . import diary, history, holds, refusals, reminders, tasks, turns
from .availability import Reason, Slot
from .history import By, Kind
from .models import Booking, Handyman, Service, ServiceArea, Status
from .payments import deposits
from .racing import atomically, violated_constraint
from .refusals import NotPossible, OutOfArea, SlotTaken, SlotUnavailable, TooEarly, TooLate
from .refusals import SchedulingError as SchedulingError  # the base that callers catch

_STAFF_HORIZON_DAYS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who the visit is for, and where."""

    customer_name: str
    customer_email: str
    customer_phone: str
    address: str
    postcode: str
    notes: str = ""


def book(
    *,
    service: Service,
    starts_at: datetime,
    customer: Customer,
    idempotency_key: str,
    handyman: Handyman | None = None,
    by: By = By.CUSTOMER,
    user: User | None = None,
    now: datetime | None = None,
) -> Booking:
    """Book a confirmed visit with one handyman, or with the least loaded who is free.

    The same key with the same slot gives the same booking. Staff are not bound by notice, horizon or area.
    Raises OutOfArea, SlotUnavailable or SlotTaken.
    """
    wish = _Wish(service=service, starts_at=starts_at, handyman=handyman, by=by, user=user, now=now or timezone.now())
    return _take(wish, customer, idempotency_key, Status.CONFIRMED, None)


def check(
    *,
    service: Service,
    starts_at: datetime,
    by: By,
    handyman: Handyman | None = None,
    moving: Booking | None = None,
    now: datetime | None = None,
) -> None:
    """Raise what booking this slot (or `moving` a booking there) would raise; nothing is written or published."""
    now = now or timezone.now()
    _Wish(service=service, starts_at=starts_at, handyman=handyman, by=by, moving=moving, now=now).find()


def hold(
    *,
    service: Service,
    starts_at: datetime,
    customer: Customer,
    idempotency_key: str,
    expires_in: timedelta,
    handyman: Handyman | None = None,
    now: datetime | None = None,
) -> Booking:
    """Keep a slot for a customer until it is confirmed or the time is up. Raises as `book` does."""
    wish = _Wish(service=service, starts_at=starts_at, handyman=handyman, now=now or timezone.now())
    return _take(wish, customer, idempotency_key, Status.HELD, wish.now + expires_in)


def move(
    *,
    booking: Booking,
    starts_at: datetime,
    by: By,
    handyman: Handyman | None = None,
    user: User | None = None,
    anybody: bool = False,
    now: datetime | None = None,
) -> Booking:
    """Give a booking a new time, with its handyman if free, else another (or with `handyman` alone).

    A customer who had asked for their handyman keeps him, unless they now take `anybody`. Moving to where it is does
    nothing. Raises TooLate, NotPossible, SlotUnavailable or SlotTaken.
    """
    if by == By.CUSTOMER and booking.asked_for_handyman and not anybody:
        handyman = booking.handyman
    wish = _Wish(
        service=booking.service,
        starts_at=starts_at,
        handyman=handyman,
        by=by,
        user=user,
        now=now or timezone.now(),
        moving=booking,
    )

    def is_there(current: Booking) -> bool:
        right_handyman = handyman is None or handyman.pk == current.handyman_id
        return current.is_open and current.starts_at == starts_at and right_handyman

    def attempt(handyman_id: int) -> Booking:
        current = _locked(booking)
        if is_there(current):  # the same form, posted twice
            return current
        _require_changeable(current, wish.by, wish.now)
        taker, planned_at = _commit(wish, handyman_id)
        was_at, was_with = current.starts_at, current.handyman
        before = f"{timezone.localtime(was_at):%a %d %b %Y %H:%M} with {was_with.name}"
        current.asked_for_handyman &= taker == was_with
        current.handyman = taker
        current.take_time(wish.starts_at, planned_at)
        current.sequence += 1
        _promise(current, wish.now)
        current.save()
        history.record(
            current,
            Kind.MOVED,
            by=wish.by,
            user=wish.user,
            note=f"from {before}",
            was_at=was_at,
            was_with=was_with,
        )
        tasks.after_move(current)
        return current

    with refusals.told(booking.service, "move"):
        if is_there(booking):
            return booking
        _require_changeable(booking, wish.by, wish.now)
        return _with_first_free(wish, attempt)


def confirm(*, booking: Booking, by: By, user: User | None = None) -> Booking:
    """Make a held booking certain and tell the customer. Does nothing when it is. Raises NotPossible."""
    return _change(booking, Kind.CONFIRMED, Status.CONFIRMED, allowed=(Status.HELD,), by=by, user=user)


def reinstate(*, booking: Booking, now: datetime | None = None) -> Booking:
    """Confirm a booking whose hold had run out before it was paid, with its handyman if free, else another.

    A customer who had asked for him gets no other. Raises NotPossible, SlotUnavailable or SlotTaken when it is gone.
    """
    now = now or timezone.now()
    wish = _Wish(
        service=booking.service,
        starts_at=booking.starts_at,
        handyman=booking.handyman if booking.asked_for_handyman else None,
        by=By.SYSTEM,
        now=now,
        moving=booking,
    )

    def attempt(handyman_id: int) -> Booking:
        current = _locked(booking)
        if current.status != Status.CANCELLED:
            raise NotPossible
        current.handyman, planned_at = _commit(wish, handyman_id)
        current.take_time(wish.starts_at, planned_at)
        current.status = Status.CONFIRMED
        current.sequence += 1
        _promise(current, now)
        current.save()
        history.record(current, Kind.REINSTATED, by=By.SYSTEM)
        tasks.after_booking(current)
        return current

    with refusals.told(booking.service, "reinstate"):
        return _with_first_free(wish, attempt)


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
        _require_changeable(current, by, now)

    return _change(
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

    return _change(booking, kind, status, allowed=allowed, by=By.STAFF, user=user, check=check)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """A slot that somebody asks for. `moving` is the booking that would leave its place for it."""

    service: Service
    starts_at: datetime
    now: datetime
    handyman: Handyman | None = None
    by: By = By.CUSTOMER
    user: User | None = None
    moving: Booking | None = None

    def find(self) -> Slot:
        """The free slot. Raises SlotUnavailable or SlotTaken, with alternatives."""
        found = self.judge(self.handyman)
        if isinstance(found, Slot):
            return found
        if found is Reason.TAKEN:
            raise SlotTaken(alternatives=self.alternatives())
        raise SlotUnavailable(found, alternatives=self.alternatives())

    def judge(self, handyman: Handyman | None) -> Slot | Reason:
        """The free slot of this handyman, or of anybody, as things are now; or the reason why there is none."""
        rules = diary.rules()
        if self.by != By.CUSTOMER:
            rules = replace(rules, notice=timedelta(), horizon_days=_STAFF_HORIZON_DAYS)
        return diary.find_slot(
            service=self.service,
            starts_at=self.starts_at,
            handyman=handyman,
            now=self.now,
            ignoring=self.moving,
            by_rules=rules,
        )

    def alternatives(self) -> list[Slot]:
        return diary.nearest_slots(
            service=self.service,
            starts_at=self.starts_at,
            handyman=self.handyman,
            now=self.now,
            ignoring=self.moving,
        )


def _take(
    wish: _Wish, customer: Customer, idempotency_key: str, status: Status, hold_expires_at: datetime | None
) -> Booking:
    # A form posted again after "back" and another choice is another wish, so the slot is part of the key.
    asked = f"{idempotency_key} {wish.service.pk} {wish.starts_at.timestamp()}"
    key = hashlib.sha256(asked.encode()).hexdigest()
    kind = Kind.HELD if status == Status.HELD else Kind.CREATED

    def attempt(handyman_id: int) -> Booking:
        # Two inserts that exclude each other would wait for each other until the deadlock detector wakes (1 s).
        # The lock makes them queue; the constraint still judges.
        taker, planned_at = _commit(wish, handyman_id)
        booking = Booking(
            service=wish.service,
            handyman=taker,
            status=status,
            hold_expires_at=hold_expires_at,
            idempotency_key=key,
            consent_at=wish.now,
            created_at=wish.now,
            asked_for_handyman=wish.by == By.CUSTOMER and wish.handyman is not None,
            **asdict(customer),
        )
        booking.take_time(wish.starts_at, planned_at)
        booking.take_price()
        _promise(booking, wish.now)
        booking.save(force_insert=True)
        history.record(booking, kind, by=wish.by, user=wish.user)
        if status == Status.CONFIRMED:
            tasks.after_booking(booking)
        else:
            deposits.ask(booking)
        return booking

    with refusals.told(wish.service, "book" if status == Status.CONFIRMED else "hold"):
        if wish.by == By.CUSTOMER and not ServiceArea.objects.covers(customer.postcode):
            raise OutOfArea
        try:
            return Booking.objects.filter(idempotency_key=key).first() or _with_first_free(wish, attempt)
        except (SlotUnavailable, _SamePostedTwice):
            # The twin of this request may have taken the slot while we looked.
            twin = Booking.objects.filter(idempotency_key=key).first()
            if twin is None:
                raise
            return twin


def _with_first_free(wish: _Wish, attempt: Callable[[int], Booking]) -> Booking:
    """Try the handymen who are free in their turn, each in a transaction (or savepoint) of its own."""
    handyman_ids = turns.in_turn(wish.find().handyman_ids, wish.starts_at, wish.now)
    if wish.moving is not None:
        handyman_ids.sort(key=wish.moving.handyman_id.__ne__)
    for handyman_id in handyman_ids:
        try:
            return atomically(partial(attempt, handyman_id))
        except _NoLongerFree:
            continue
        except IntegrityError as error:
            constraint = violated_constraint(error)
            if constraint == "booking_idempotency_key":
                raise _SamePostedTwice from error
            if constraint != "booking_no_overlap":
                raise
    raise SlotTaken(alternatives=wish.alternatives())


def _commit(wish: _Wish, handyman_id: int) -> tuple[Handyman, datetime]:
    """The handyman, locked and given the visit, and when he will arrive. Raises _NoLongerFree."""
    (taker,) = Handyman.objects.filter(pk=handyman_id).for_change()
    _release_expired_holds(handyman_id, wish)
    found = wish.judge(taker)
    if not isinstance(found, Slot):
        raise _NoLongerFree
    taker.given_at = wish.now
    taker.save(update_fields=["given_at"])
    return taker, found.planned[0]


class _NoLongerFree(Exception):
    """Between the first look and the lock the handyman's time went to somebody else, or he took it off."""


class _SamePostedTwice(Exception):
    """The unique key says that this very form was booked meanwhile."""


def _change(
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
        current = _locked(booking)
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
            _promise(current, timezone.now())
        current.save()
        history.record(current, kind, by=by, user=user, note=note, asked=asked)
        if status == Status.CONFIRMED:
            tasks.after_booking(current)
        elif status == Status.CANCELLED and not was_held:
            tasks.after_cancellation(current)
        if after is not None:
            after(current)
        return current

    with refusals.told(booking.service, kind.value):
        return atomically(work)


def _locked(booking: Booking) -> Booking:
    current = Booking.objects.for_change(booking.pk)
    current.service = booking.service  # it never changes, and need not be read again
    return current


def _promise(booking: Booking, now: datetime) -> None:
    """Some minutes to mend a mistake in what was just chosen, and a reminder if there is a day left for one."""
    booking.grace_until = now + timedelta(minutes=settings.BOOKING_GRACE_MINUTES)
    booking.reminder_at = reminders.due_at(booking.starts_at, now)


def _require_changeable(booking: Booking, by: By, now: datetime) -> None:
    if not booking.is_open:
        raise NotPossible
    if by == By.CUSTOMER and not booking.can_be_changed(now):
        raise TooLate


def _release_expired_holds(handyman_id: int, wish: _Wish) -> None:
    """Holds that have run out stand in the constraint's way until their rows say so."""
    until = wish.starts_at + diary.rules().window + wish.service.duration + wish.service.buffer
    in_the_way = Booking.objects.filter(handyman=handyman_id).overlapping(wish.starts_at, until)
    holds.release_expired(now=wish.now, among=in_the_way)
