"""A visit is booked or held, once however often its form is posted."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from bookings import events
from bookings.basket import Basket, Work
from bookings.messaging import outbox
from bookings.models import Booking, Handyman, Service, ServiceArea, Status
from bookings.scheduling import corrections, deposits, errors, history, idempotency, jobs, proofs, quotes
from bookings.scheduling.errors import (
    AlreadyBooked,
    OutOfArea,
    SlotUnavailable,
    TooManyUnproven,
)
from bookings.scheduling.history import By, Kind
from bookings.scheduling.moving import move
from bookings.scheduling.slot_requests import SamePostedTwice, SlotRequest, commit, with_first_free
from bookings.scheduling.transitions import promise


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
        proof = proofs.Proof(now)
        if request.by == By.CUSTOMER:
            proof = proofs.of_new_booking(email=email, client=request.client, now=now)
        unproven = proof.comes_first
        booking = Booking(
            service=basket.service,
            quantity=basket.jobs[0].quantity,
            handyman=taker,
            status=Status.HELD if unproven else status,
            hold_expires_at=now + deposits.hold_time() if unproven else hold_expires_at,
            proven_at=proof.proven_at,
            client=proof.client,
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
        if slot.of_unknown_place:
            events.publish(events.PlaceUnknown(booking_id=booking.pk, service=basket.service.slug, by=request.by.value))
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
            except (SlotUnavailable, TooManyUnproven, SamePostedTwice) as lost:
                # The twin of this request may have taken the slot, or the last booking without a proof, while we
                # looked; or the form had a booking that is over: whose key is released then, and not before, as few
                # forms come twice.
                posted_before = isinstance(lost, SamePostedTwice)
                if not posted_before and idempotency.live(key, request.now) is None:
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
