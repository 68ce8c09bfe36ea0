"""Every change to a booking. The exclusion constraint `booking_no_overlap` judges races; what is read before is a hope.

All functions are keyword-only, run in their own transaction (or savepoint), write the booking's history, put the
e-mails into the outbox and publish an event. They raise a SchedulingError when a request cannot be granted.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from django.contrib.auth.models import User
from django.utils import timezone

from bookings.basket import Basket, Work
from bookings.messaging import links, outbox
from bookings.models import Booking, Handyman, Service, ServiceArea, Status
from bookings.scheduling import corrections, deposits, errors, history, idempotency, jobs, proofs, quotes
from bookings.scheduling.errors import (
    AlreadyBooked,
    NotPossible,
    OutOfArea,
    QuoteGone,
    SchedulingError,
    SlotTaken,
    SlotUnavailable,
    TooEarly,
    TooFar,
    TooLate,
    TooManyUnproven,
)
from bookings.scheduling.history import By, Kind
from bookings.scheduling.jobs import add as add_job
from bookings.scheduling.outcomes import complete, no_show, reinstate, undo, undoable_until
from bookings.scheduling.slot_requests import SamePostedTwice, SlotRequest, commit, with_first_free
from bookings.scheduling.transitions import change, locked, promise, require_changeable

__all__ = [
    "AlreadyBooked",
    "By",
    "Customer",
    "NotPossible",
    "OutOfArea",
    "QuoteGone",
    "SchedulingError",
    "SlotTaken",
    "SlotUnavailable",
    "TooEarly",
    "TooFar",
    "TooLate",
    "TooManyUnproven",
    "add_job",
    "book",
    "cancel",
    "check",
    "complete",
    "confirm",
    "hold",
    "move",
    "no_show",
    "prove",
    "reinstate",
    "undo",
    "undoable_until",
]


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
    service: Service | Basket,
    starts_at: datetime,
    customer: Customer,
    idempotency_key: str,
    handyman: Handyman | None = None,
    by: By = By.CUSTOMER,
    user: User | None = None,
    instead: bool = False,
    client: str | None = None,
    overtime: bool = False,
    now: datetime | None = None,
) -> Booking:
    """Book a confirmed visit for a service or a basket with one handyman, or with the least loaded who is free.

    Where the `client` (its hash, see limits.client) or the e-mail address has too many unproven bookings, it is only
    held, until `prove`; beyond that TooManyUnproven is raised.

    The same key with the same content gives the same booking, while it stands. With other details it corrects them;
    with another slot it moves the booking if `instead` says so. Staff are not bound by notice, horizon or area, and
    with `overtime` neither by hours, holidays and the steps of windows. Raises OutOfArea, SlotUnavailable, SlotTaken
    or AlreadyBooked.
    """
    basket = Basket.of(service)
    request = SlotRequest(
        service=basket,
        postcode=customer.postcode,
        starts_at=starts_at,
        handyman=handyman,
        by=by,
        user=user,
        instead=instead,
        client=client,
        overtime=overtime,
        now=now or timezone.now(),
    )
    return _take(request, basket, customer, idempotency_key, Status.CONFIRMED, None)


def check(
    *,
    service: Work,
    starts_at: datetime,
    by: By,
    handyman: Handyman | None = None,
    moving: Booking | None = None,
    postcode: str = "",
    now: datetime | None = None,
) -> None:
    """Raise what booking this slot (or `moving` a booking there) would raise; nothing is written or published."""
    now = now or timezone.now()
    request = SlotRequest(service=service, postcode=postcode, starts_at=starts_at, handyman=handyman, by=by, now=now)
    replace(request, moving=moving).find()


def hold(
    *,
    service: Service | Basket,
    starts_at: datetime,
    customer: Customer,
    idempotency_key: str,
    expires_in: timedelta,
    handyman: Handyman | None = None,
    instead: bool = False,
    now: datetime | None = None,
) -> Booking:
    """Keep a slot for a customer until it is confirmed or the time is up. Raises as `book` does."""
    now, basket = now or timezone.now(), Basket.of(service)
    request = SlotRequest(
        service=basket,
        postcode=customer.postcode,
        starts_at=starts_at,
        handyman=handyman,
        instead=instead,
        now=now,
    )
    return _take(request, basket, customer, idempotency_key, Status.HELD, request.now + expires_in)


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


def confirm(*, booking: Booking, by: By, user: User | None = None) -> Booking:
    """Make a held booking certain and tell the customer. Does nothing when it is. Raises NotPossible.

    One that is kept for somebody in line takes that offer: what comes back is the visit, which may be another booking.
    """
    from bookings.scheduling import waitlist  # when it is called: an offer is taken by what stands here

    if taken := waitlist.take_kept_by(booking, by=by, user=user):
        return taken
    return change(booking, Kind.CONFIRMED, Status.CONFIRMED, allowed=(Status.HELD,), by=by, user=user)


def prove(*, booking: Booking, mail: str) -> Booking:
    """Make certain a booking that was held for its e-mail address, by the `mail` of its link. As `confirm` does."""
    from bookings.scheduling import waitlist  # ditto

    if links.is_from_email(booking, mail) and (taken := waitlist.take_kept_by(booking, by=By.CUSTOMER)):
        return taken
    check = partial(proofs.require, mail=mail)
    return change(
        booking, Kind.CONFIRMED, Status.CONFIRMED, allowed=(Status.HELD,), by=By.CUSTOMER, user=None, check=check
    )


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


def _take(
    request: SlotRequest,
    basket: Basket,
    customer: Customer,
    idempotency_key: str,
    status: Status,
    hold_expires_at: datetime | None,
) -> Booking:
    key = idempotency.key(idempotency_key)
    wanted = request.handyman and request.handyman.pk
    asked = {"service": basket.service.pk, "start": request.starts_at, "handyman": wanted}
    several = {"jobs": basket.content} if basket.has_several_jobs else {}
    fingerprint = idempotency.digest(asked | several | asdict(customer))
    posted_before = False

    def attempt(handyman_id: int) -> Booking:
        # Two inserts that exclude each other would wait for each other until the deadlock detector wakes (1 s).
        # The lock makes them queue; the constraint still judges.
        taker, slot = commit(request, handyman_id)
        if posted_before:
            idempotency.release(key, request.now)
        email, now = customer.customer_email, request.now
        proven_at = proofs.earlier(email, now) if request.by == By.CUSTOMER else now
        client = request.client if proven_at is None else None
        unproven = client is not None and proofs.comes_first(email=email, client=client, now=now)
        booking = Booking(
            service=basket.service,
            quantity=basket.jobs[0].quantity,
            handyman=taker,
            status=Status.HELD if unproven else status,
            hold_expires_at=now + deposits.hold_time() if unproven else hold_expires_at,
            proven_at=proven_at,
            client=client or "",
            idempotency_key=key,
            fingerprint=fingerprint,
            consent_at=request.now,
            created_at=request.now,
            asked_for_handyman=request.by == By.CUSTOMER and request.handyman is not None,
            overtime=request.overtime,
            **asdict(customer),
        )
        booking.take_time(request.starts_at, slot.planned[0], (basket.duration, basket.buffer), slot.buffer)
        booking.take_price(basket.jobs[0])
        promise(booking, request.now)
        booking.save(force_insert=True)
        jobs.write(booking, basket.jobs[1:])
        quotes.book(booking, basket)
        held = booking.status == Status.HELD
        history.record(booking, Kind.HELD if held else Kind.CREATED, by=request.by, user=request.user)
        if unproven:
            outbox.after_unproven(booking)
        elif held:
            deposits.ask(booking, basket.deposit)
        else:
            outbox.after_booking(booking)
        return booking

    with errors.published(basket.service, "book" if status == Status.CONFIRMED else "hold"):
        if request.by == By.CUSTOMER and not ServiceArea.objects.covers(customer.postcode):
            raise OutOfArea
        while (earlier := idempotency.live(key, request.now)) is None:
            try:
                return with_first_free(request, attempt)
            except (SlotUnavailable, SamePostedTwice) as lost:
                # The twin of this request may have taken the slot while we looked, or the form had a booking that is
                # over: whose key is released then, and not before, as few forms come twice.
                posted_before = isinstance(lost, SamePostedTwice)
                if isinstance(lost, SlotUnavailable) and idempotency.live(key, request.now) is None:
                    raise
        return _resubmitted(earlier, request, basket, customer, fingerprint)


def _resubmitted(
    earlier: Booking, request: SlotRequest, basket: Basket, customer: Customer, fingerprint: str
) -> Booking:
    """What a form's booking becomes when the form comes again.

    Raises AlreadyBooked when it asks for another slot, or would undo what staff have changed since it was sent.
    """
    if earlier.fingerprint == fingerprint:
        return earlier
    if history.changed_by_staff(earlier):
        raise AlreadyBooked(earlier, changed=True)
    same_jobs = earlier.content == basket.content
    here = same_jobs and earlier.starts_at == request.starts_at
    if not here or (request.handyman and request.handyman.pk != earlier.handyman_id):
        if not request.instead or not same_jobs:
            raise AlreadyBooked(earlier)
        earlier = move(
            booking=earlier,
            starts_at=request.starts_at,
            handyman=request.handyman,
            by=request.by,
            user=request.user,
            anybody=request.handyman is None,
            now=request.now,
        )
    return corrections.correct(
        booking=earlier, details=asdict(customer), by=request.by, user=request.user, fingerprint=fingerprint
    )
