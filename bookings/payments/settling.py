"""Brings our side and Stripe's to agree about one payment, whatever happened in between and in whatever order.

Nothing is believed because of when it arrived: Stripe is asked how things are, and a payment only ever moves forward
(open → closed | paid → refunding → refunded). So this can be repeated, run twice at once, or come late.
"""

from functools import partial

from django.db import transaction
from django.utils import timezone

from bookings import events, scheduling
from bookings.models import Booking, Payment, Status
from bookings.payments import stripe_api
from bookings.payments.stripe_api import Session, StripeRefused, StripeUnavailable
from bookings.scheduling import deposits, history

_UNPAID = (Payment.Status.OPEN, Payment.Status.CLOSED)


def settle(payment_id: int) -> None:
    """Ask Stripe about a payment and do what follows. Raises StripeUnavailable, StripeRefused: to be tried again."""
    payment = Payment.objects.select_related("booking").filter(pk=payment_id).first()
    if payment is None or payment.status not in (Payment.Status.OPEN, Payment.Status.REFUNDING):
        return
    events.continue_from(payment.origin)
    Payment.objects.filter(pk=payment_id).update(asked_at=timezone.now())
    if payment.status == Payment.Status.REFUNDING:
        _give_back(payment)
    elif payment.session_id is None:
        _close_unasked(payment)
    else:
        session = stripe_api.read_session(payment.session_id)
        if session.is_open and not payment.booking.is_open:
            session = _close(payment.session_id, payment.idempotency_key)
        _believe(payment, session)


def _close(session_id: str, key: str) -> Session:
    """Close a Checkout Session, so that nobody pays for what is gone; or learn that somebody just has."""
    try:
        return stripe_api.expire_session(session_id, key=key)
    except StripeRefused:
        session = stripe_api.read_session(session_id)
        if session.is_open:
            raise
        return session


def _close_unasked(payment: Payment) -> None:
    """There is no Checkout Session that anybody knows of, so none will be paid once the hold is over."""
    with transaction.atomic():
        booking, current = _locked(payment)
        if current.status == Payment.Status.OPEN and current.session_id is None and booking.status != Status.HELD:
            _end_unpaid(booking, current)


def _believe(payment: Payment, session: Session) -> None:
    """Take over what Stripe says of the session."""
    if session.paid and (session.amount, session.currency) != (payment.amount_pence, payment.currency):
        raise StripeUnavailable("another amount")  # somebody else's answer; staff are told of the failing task
    with transaction.atomic():
        booking, current = _locked(payment)
        if session.paid and current.status in _UNPAID:
            current.status, current.intent_id, current.paid_at = Payment.Status.PAID, session.intent_id, timezone.now()
            current.save(update_fields=["status", "intent_id", "paid_at"])
            history.record(booking, history.Kind.PAID, by=history.By.CUSTOMER)
            _keep_or_owe(booking, current)
        elif session.is_expired and current.status == Payment.Status.OPEN:
            _end_unpaid(booking, current)


def _keep_or_owe(booking: Booking, payment: Payment) -> None:
    """A deposit has arrived: the visit is certain, or the money goes back."""
    try:
        if booking.status == Status.HELD:
            scheduling.confirm(booking=booking, by=history.By.SYSTEM)
        elif booking.status == Status.CANCELLED and _ran_out(booking):
            scheduling.reinstate(booking=booking)
        elif booking.status == Status.CANCELLED:
            deposits.owe(booking, payment, Payment.Reason.CANCELLED, by=history.By.SYSTEM)
    except scheduling.SchedulingError:
        deposits.owe(booking, payment, Payment.Reason.LATE, by=history.By.SYSTEM)


def _ran_out(booking: Booking) -> bool:
    """Whether it was lost because the hold ended, and not called off by somebody."""
    ends = booking.events.filter(kind__in=(history.Kind.EXPIRED, history.Kind.CANCELLED))
    last = ends.last()
    return last is not None and last.kind == history.Kind.EXPIRED


def _end_unpaid(booking: Booking, payment: Payment) -> None:
    payment.status = Payment.Status.CLOSED
    payment.save(update_fields=["status"])
    closed = events.CheckoutClosed(booking_id=booking.pk, service=booking.service.slug, by=history.By.SYSTEM.value)
    transaction.on_commit(partial(events.publish_now, closed), robust=True)


def _give_back(payment: Payment) -> None:
    assert payment.intent_id is not None  # noqa: S101 - a constraint says so
    refund_id = stripe_api.refund(
        intent_id=payment.intent_id,
        amount=payment.amount_pence,
        currency=payment.currency,
        key=payment.idempotency_key,
    )
    with transaction.atomic():
        booking, current = _locked(payment)
        if current.status == Payment.Status.REFUNDING:
            current.status, current.refund_id, current.refunded_at = Payment.Status.REFUNDED, refund_id, timezone.now()
            current.save(update_fields=["status", "refund_id", "refunded_at"])
            history.record(booking, history.Kind.REFUNDED, by=history.By.SYSTEM)


def _locked(payment: Payment) -> tuple[Booking, Payment]:
    """Both rows, for changing them; the booking's first, as everywhere."""
    booking = Booking.objects.for_change(payment.booking_id)
    return booking, Payment.objects.select_for_update().get(pk=payment.pk)
