"""Waiting for an earlier time: who joins and leaves the line, and what becomes of a time that was offered.

An offer is a held booking (`offers.py` makes them). Taking it confirms that booking or, for a visit that stands, moves
the visit there, in one transaction. Locks are taken in one order: the entry, the hold, the visit, the handyman.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from procrastinate.contrib.django import app

from bookings import events
from bookings.models import (
    Booking,
    Handyman,
    Service,
    ServiceArea,
    Status,
    WaitlistEntry,
    WaitlistOffer,
    new_idempotency_key,
)
from bookings.scheduling import deposits, errors, holds, idempotency, proofs, transitions
from bookings.scheduling.booking import Customer
from bookings.scheduling.errors import DepositChanged, NotPossible, OutOfArea, TooManyUnproven
from bookings.scheduling.history import By, Kind, look_for_time
from bookings.scheduling.moving import move
from bookings.scheduling.retries import atomically

MOST_UNCONFIRMED = 3
"""Entries of one address that wait to be confirmed; beyond them nobody is written to."""
CONFIRM_WITHIN = timedelta(days=2)

_FORM = 32
"""Characters of a stored key that say which form it was; the others say what it asked for."""
_ASKED = frozenset(
    (
        *("service", "handyman", "booking", "weekdays", "not_before", "not_after", "last_day"),
        *("customer_name", "customer_email", "customer_phone", "address", "postcode", "notes"),
    )
)

Outcome = WaitlistOffer.Outcome
End = WaitlistEntry.End


@dataclass(frozen=True, slots=True, kw_only=True)
class Suits:
    """When an earlier visit would suit. Times are the business's own; weekdays count from Monday, 0."""

    weekdays: Sequence[int]
    not_before: time
    not_after: time


def join(
    *,
    service: Service,
    customer: Customer,
    suits: Suits,
    last_day: date,
    idempotency_key: str,
    handyman: Handyman | None = None,
) -> WaitlistEntry | None:
    """Put somebody without a visit in line, once they confirm it by the e-mail that is sent to them.

    What the same form had asked for with other content is replaced, so that a link mailed to a wrong address opens
    nothing more. None where the address has too many that wait to be confirmed: it is not written to. Raises OutOfArea.
    """
    with errors.published(service, "join_waitlist"):
        if not ServiceArea.objects.covers(customer.postcode):
            raise OutOfArea
    with transaction.atomic():
        if _has_many_unconfirmed(customer.customer_email):
            return None
        entry = WaitlistEntry(
            service=service, handyman=handyman, last_day=last_day, **asdict(suits), **asdict(customer)
        )
        entry.idempotency_key = _key(idempotency_key, entry)
        for earlier in WaitlistEntry.objects.filter(
            idempotency_key__startswith=entry.idempotency_key[:_FORM], ended_at=None
        ).exclude(idempotency_key=entry.idempotency_key):
            _end(_locked(earlier), End.REPLACED)
        return _add(entry)


def join_with(*, booking: Booking, suits: Suits, idempotency_key: str) -> WaitlistEntry:
    """Put the customer of a visit in line for an earlier time; what they had asked before is replaced.

    Where their address is not proved yet, they confirm it by the e-mail. Raises NotPossible, TooLate, or
    TooManyUnproven where it has too many that wait for that.
    """
    now = timezone.now()

    def work() -> WaitlistEntry:
        current = transitions.locked(booking)
        transitions.require_changeable(current, By.CUSTOMER, now)
        if current.status != Status.CONFIRMED or not current.customer_email:
            raise NotPossible
        if current.proven_at is None and _has_many_unconfirmed(current.customer_email):
            raise TooManyUnproven
        entry = WaitlistEntry(
            service=current.service,
            booking=current,
            last_day=timezone.localdate(current.starts_at),
            confirmed_at=now if current.proven_at else None,
            **asdict(suits),
        )
        entry.idempotency_key = _key(idempotency_key, entry)
        for earlier in WaitlistEntry.objects.filter(booking=current, ended_at=None).exclude(
            idempotency_key=entry.idempotency_key
        ):
            _end(_locked(earlier), End.REPLACED)
        return _add(entry)

    with errors.published(booking.service, "join_waitlist"):
        return atomically(work)


def _has_many_unconfirmed(email: str) -> bool:
    """Whether the address was written to often enough without an answer. Until the transaction ends others wait.

    What was left or replaced counts as well: that was an e-mail too.
    """
    proofs.queue(f"address {email.lower()}")
    since = timezone.now() - CONFIRM_WITHIN
    unconfirmed = WaitlistEntry.objects.of_address(email).filter(confirmed_at=None, created_at__gt=since)
    return unconfirmed.count() >= MOST_UNCONFIRMED


def _key(form_key: str, entry: WaitlistEntry) -> str:
    """What is stored of a form's key, and of all that the form asks for: 64 characters."""
    asked = {field.name: field.value_to_string(entry) for field in entry._meta.concrete_fields if field.name in _ASKED}
    return idempotency.key(form_key)[:_FORM] + idempotency.digest(asked)[_FORM:]


def _add(entry: WaitlistEntry) -> WaitlistEntry:
    """Write the entry and its e-mail; the same form posted twice is one entry, while that has not ended."""
    WaitlistEntry.objects.filter(idempotency_key=entry.idempotency_key, ended_at__isnull=False).update(
        idempotency_key=new_idempotency_key()
    )
    try:
        with transaction.atomic():
            entry.save(force_insert=True)
    except IntegrityError:
        twin = WaitlistEntry.objects.filter(idempotency_key=entry.idempotency_key).first()
        if twin is None:
            raise
        return twin
    app.configure_task(name="send_waitlist_email").defer(entry_id=entry.pk)
    events.publish(events.WaitlistJoined(service=entry.service.slug, confirmed=entry.is_waiting))
    if entry.is_waiting:
        look_for_time()
    return entry


@transaction.atomic
def confirm(*, entry: WaitlistEntry) -> WaitlistEntry:
    """Put in line whoever followed the link of their e-mail; what they had asked for this job before is replaced."""
    current = _locked(entry)
    if current.confirmed_at is None and current.ended_at is None:
        if current.booking is None:
            others = WaitlistEntry.objects.of_address(current.email).filter(service=current.service, ended_at=None)
            for other in others.filter(booking=None, confirmed_at__isnull=False):
                _end(_locked(other), End.REPLACED)
        current.confirmed_at = timezone.now()
        current.save(update_fields=["confirmed_at"])
        proofs.note_address(current.email, current.confirmed_at)
        events.publish(events.WaitlistJoined(service=current.service.slug, confirmed=True))
        look_for_time()
    return current


@transaction.atomic
def leave(*, entry: WaitlistEntry) -> None:
    """Take somebody out of the line; what is kept for them is given back. Does nothing where they have left."""
    _end(_locked(entry), End.STOPPED)


@transaction.atomic
def decline(*, offer: WaitlistOffer) -> None:
    """Give an offered time back, for the next in line; its customer stays in line. Does nothing once it is over."""
    _locked(offer.entry)
    _close(_as_it_is(offer), Outcome.DECLINED)


def take(
    *,
    offer: WaitlistOffer,
    by: By = By.CUSTOMER,
    user: User | None = None,
    deposit: int | None = None,
    now: datetime | None = None,
) -> Booking:
    """Move the visit to the offered time, or book it; the booking, held where its customer has a deposit to pay.

    The same answer posted twice is one. `deposit` is what the customer was shown, in pence: where it is another now
    DepositChanged is raised. Raises a SchedulingError (mostly NotPossible) when the time is not kept any more or the
    visit cannot be moved; then nothing has changed.
    """
    now = now or timezone.now()

    def work() -> Booking:
        entry = _locked(offer.entry)
        current = _as_it_is(offer)
        if current.outcome == Outcome.TAKEN:
            return _taken(entry, current)
        if current.outcome != Outcome.OPEN or current.hold is None:
            raise NotPossible
        current.hold = hold = Booking.objects.for_change(current.hold.pk)
        if not current.is_kept(now):
            raise NotPossible
        if entry.booking is None and deposit is not None and deposit != hold.service.deposit:
            raise DepositChanged
        booking = _moved(entry.booking, hold, by, user, now) if entry.booking else _booked(hold, by, user, now)
        current.outcome = Outcome.TAKEN
        current.save(update_fields=["outcome"])
        events.publish(events.WaitlistOfferEnded(service=entry.service.slug, outcome=Outcome.TAKEN.value))
        _end(entry, End.BOOKED)
        return booking

    with errors.published(offer.entry.service, "take_offer"):
        return atomically(work)


def _taken(entry: WaitlistEntry, offer: WaitlistOffer) -> Booking:
    booking = entry.booking or offer.hold
    if booking is None:
        raise NotPossible
    return booking


def take_kept_by(hold: Booking, *, by: By, user: User | None = None) -> Booking | None:
    """Take the offer that keeps this held booking, as somebody confirms that; None where no offer does.

    Confirmed by itself it would be a second visit, beside the one that was to be moved. Raises as `take` does.
    """
    offer = WaitlistOffer.objects.filter(hold=hold, outcome=Outcome.OPEN).select_related("entry__service").first()
    return take(offer=offer, by=by, user=user) if offer is not None else None


def _moved(visit: Booking, hold: Booking, by: By, user: User | None, now: datetime) -> Booking:
    """The visit, moved to where the hold was. Its handyman, if the customer had asked for him, or who is free then."""
    holds.release(hold)
    wanted = visit.handyman if visit.asked_for_handyman else None
    return move(booking=visit, starts_at=hold.starts_at, handyman=wanted, by=by, user=user, now=now)


def _booked(hold: Booking, by: By, user: User | None, now: datetime) -> Booking:
    """The hold, confirmed or kept on for its deposit, which staff may do without."""
    if by == By.STAFF or not hold.service.deposit:
        return transitions.change(hold, Kind.CONFIRMED, Status.CONFIRMED, allowed=(Status.HELD,), by=by, user=user)
    hold.hold_expires_at = now + deposits.hold_time()
    hold.save(update_fields=["hold_expires_at"])
    deposits.ask(hold, hold.service.deposit)
    return hold


def close_lapsed(now: datetime) -> int:
    """Mark the offers whose time is not kept any more; returns how many."""
    lapsed = 0
    still_open = WaitlistOffer.objects.filter(outcome=Outcome.OPEN)
    kept = still_open.filter(hold__status=Status.HELD, hold__hold_expires_at__gt=now)
    for offer in still_open.exclude(pk__in=kept.values("pk")).select_related("entry"):
        with transaction.atomic():
            _locked(offer.entry)
            current = _as_it_is(offer)
            if not current.is_kept(now):
                lapsed += _close(current, Outcome.LAPSED)
    return lapsed


def end_stale(now: datetime) -> int:
    """End what has become pointless: its days are over, its visit is near or off, or it was never confirmed."""
    ended = 0
    for entry in WaitlistEntry.objects.filter(ended_at=None).select_related("booking", "service"):
        if _is_stale(entry, now):
            with transaction.atomic():
                ended += _end(_locked(entry), End.OVER)
    return ended


def _is_stale(entry: WaitlistEntry, now: datetime) -> bool:
    if entry.confirmed_at is None and entry.created_at < now - CONFIRM_WITHIN:
        return True
    visit = entry.booking
    if visit is not None:
        return visit.status != Status.CONFIRMED or not visit.can_be_changed(now)
    return entry.last_day < timezone.localdate(now)


def _locked(entry: WaitlistEntry) -> WaitlistEntry:
    """The entry as it is now, locked until the transaction ends. Its offers change under this lock alone."""
    return WaitlistEntry.objects.select_for_update(of=("self",)).select_related("service", "booking").get(pk=entry.pk)


def _as_it_is(offer: WaitlistOffer) -> WaitlistOffer:
    return WaitlistOffer.objects.select_related("entry__service", "hold__service").get(pk=offer.pk)


def _end(entry: WaitlistEntry, how: WaitlistEntry.End) -> bool:
    """End a locked entry, with what is offered to it; whether it was there to be ended."""
    if entry.ended_at is not None:
        return False
    entry.ended_at, entry.ended = timezone.now(), how
    entry.save(update_fields=["ended_at", "ended"])
    for offer in entry.offers.filter(outcome=Outcome.OPEN).select_related("entry__service", "hold__service"):
        _close(offer, Outcome.DECLINED if how == End.STOPPED else Outcome.LAPSED)
    events.publish(events.WaitlistLeft(service=entry.service.slug, how=how.value))
    return True


def _close(offer: WaitlistOffer, outcome: WaitlistOffer.Outcome) -> bool:
    """End an open offer of a locked entry and give its time back; whether it was open."""
    if offer.outcome != Outcome.OPEN:
        return False
    offer.outcome = outcome
    offer.save(update_fields=["outcome"])
    if offer.hold is not None:
        hold = Booking.objects.for_change(offer.hold.pk)
        if hold.status == Status.HELD:
            holds.release(hold)
    events.publish(events.WaitlistOfferEnded(service=offer.entry.service.slug, outcome=outcome.value))
    return True
