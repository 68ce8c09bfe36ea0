"""What a booking means for its deposit. Called within the transaction that changes the booking, whose row is locked.

Nothing here talks to Stripe: what Stripe has to do is put into the outbox, for `settling`.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from procrastinate.contrib.django import app

from bookings.messaging import outbox
from bookings.models import Booking, Payment
from bookings.scheduling import history
from bookings.scheduling.errors import NotPossible

# A Checkout Session must live for at least 30 minutes from its making, which may be the hold's last moment. Its end is
# fixed with the hold, because a repeated call must say the same as the first.
_OUTLASTS = timedelta(minutes=31)


def hold_time() -> timedelta:
    """How long a slot is kept for a deposit."""
    return timedelta(minutes=settings.DEPOSIT_HOLD_MINUTES)


def ask(booking: Booking, amount: int) -> None:
    """Want the deposit of its jobs (in pence) for a booking that has just been held, if there is one."""
    if not amount or booking.hold_expires_at is None:
        return
    Payment.objects.create(
        booking=booking,
        amount_pence=amount,
        currency=settings.BUSINESS_CURRENCY.lower(),
        session_expires_at=booking.hold_expires_at + _OUTLASTS,
        created_at=booking.created_at,
    )
    outbox.after_hold(booking)


def let_go(booking: Booking, *, keep: bool = False) -> None:
    """The booking was called off, or its hold ran out: what is paid goes back (unless `keep`), the rest is closed."""
    payment = locked(booking)
    if payment is None:
        return
    if payment.status == Payment.Status.PAID and not keep:
        # The e-mail about the cancelled visit tells of the money.
        owe(booking, payment, Payment.Reason.CANCELLED, by=history.By.SYSTEM, tell=False)
    elif payment.status == Payment.Status.OPEN:
        settle_soon(payment)


def owe(
    booking: Booking,
    payment: Payment,
    reason: Payment.Reason,
    *,
    by: history.By,
    user: User | None = None,
    tell: bool = True,
) -> None:
    """Owe the customer their deposit, and `tell` them so by e-mail; both rows are locked and it is paid."""
    payment.status, payment.refund_reason = Payment.Status.REFUNDING, reason
    payment.save(update_fields=["status", "refund_reason"])
    history.record(booking, history.Kind.REFUNDING, by=by, user=user, note=reason.label)
    if tell:
        outbox.after_refund_owed(booking, late=reason == Payment.Reason.LATE)
    settle_soon(payment)


def refund(*, payment: Payment, user: User) -> Payment:
    """Give a deposit back because staff say so; the booking stays as it is. Raises NotPossible when it is not paid."""
    with transaction.atomic():
        booking = Booking.objects.for_change(payment.booking_id)
        current = locked(booking)
        if current is None or current.status != Payment.Status.PAID:
            raise NotPossible
        owe(booking, current, Payment.Reason.STAFF, by=history.By.STAFF, user=user)
    return current


def locked(booking: Booking) -> Payment | None:
    """The booking's payment, for changing it. Always after the booking's own row, lest two wait for each other."""
    return Payment.objects.select_for_update().filter(booking=booking).first()


def settle_soon(payment: Payment) -> None:
    """Have both sides compared once this transaction is committed."""
    app.configure_task(name="settle_payment").defer(payment_id=payment.pk)


def unsettled(now: datetime) -> list[int]:
    """Payments on which both sides may differ and nobody has looked for two minutes, longest first; at most 50."""
    quiet = now - timedelta(minutes=2)
    waiting = Payment.objects.filter(status__in=(Payment.Status.OPEN, Payment.Status.REFUNDING), created_at__lt=quiet)
    waiting = waiting.exclude(asked_at__gt=quiet).exclude(session_id=None, booking__status="held")
    return list(waiting.order_by("asked_at").values_list("pk", flat=True)[:50])
