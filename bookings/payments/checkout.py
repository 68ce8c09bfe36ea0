"""The customer's way to Stripe: one Checkout Session for each deposit, however often the button is pressed."""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from bookings import events
from bookings.models import Booking, Payment, Status
from bookings.payments import stripe_api
from bookings.scheduling import deposits, history
from bookings.scheduling.errors import NotPossible


def can_be_paid(booking: Booking, payment: Payment, now: datetime) -> bool:
    """Whether the slot is still kept and the deposit not paid."""
    held = booking.status == Status.HELD and booking.hold_expires_at is not None and booking.hold_expires_at > now
    return held and payment.status == Payment.Status.OPEN


def start(*, booking: Booking, now: datetime | None = None) -> str:
    """The address where the customer pays the deposit. Asks Stripe only the first time, outside any transaction.

    Raises NotPossible when there is nothing (more) to pay, StripeUnavailable or StripeRefused when Stripe cannot.
    """
    payment = Payment.objects.filter(booking=booking).first()
    if payment is None or not can_be_paid(booking, payment, now or timezone.now()):
        raise NotPossible
    if payment.session_url:
        return payment.session_url
    session = stripe_api.create_session(
        amount=payment.amount_pence,
        currency=payment.currency,
        name=f"Deposit, booking {booking.reference}",
        reference=booking.reference,
        expires_at=int(payment.session_expires_at.timestamp()),
        paid_url=settings.SITE_URL + reverse("booking_paid", args=[booking.link_token]),
        back_url=settings.SITE_URL + reverse("booking_pay", args=[booking.link_token]),
        key=payment.idempotency_key,
    )
    if not _note(booking, session):
        raise NotPossible
    return session.url


def _note(booking: Booking, session: stripe_api.Session) -> bool:
    """Write down where the customer pays. False when the hold ended while Stripe was asked: then it is closed again."""
    with transaction.atomic():
        current = Booking.objects.for_change(booking.pk)
        payment = deposits.locked(current)
        assert payment is not None  # noqa: S101 - a payment is never deleted while its booking is there
        if payment.session_id is None:
            payment.session_id, payment.session_url = session.id, session.url
            payment.status, payment.origin = Payment.Status.OPEN, events.origin()
            payment.save(update_fields=["session_id", "session_url", "status", "origin"])
            history.record(current, history.Kind.CHECKOUT, by=history.By.CUSTOMER)
        if current.status != Status.HELD:
            deposits.settle_soon(payment)
        return current.status == Status.HELD
