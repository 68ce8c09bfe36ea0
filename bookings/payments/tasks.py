"""Background work about holds and deposits. A task that Stripe does not answer is tried again."""

from contextlib import suppress
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from bookings.models import StripeEvent
from bookings.payments import settling
from bookings.scheduling import deposits, holds

# 2, 4, 8 ... seconds: back within seconds from a blip; after eighteen hours staff have long been told.
_RETRIES = RetryStrategy(max_attempts=15, exponential_wait=2)
_REMEMBERED = timedelta(days=90)


@app.task(name="settle_payment", retry=_RETRIES)
def settle_payment(*, payment_id: int) -> None:
    """Bring our side and Stripe's to agree about one payment."""
    settling.settle(payment_id)


@app.periodic(cron="* * * * *")
@app.task(name="release_expired_holds")
def release_expired_holds(timestamp: int) -> None:
    """Give back the slots that nobody paid for in time."""
    holds.release_expired()


@app.periodic(cron="* * * * *")
@app.task(name="settle_unsettled_payments")
def settle_unsettled_payments(timestamp: int) -> None:
    """Ask Stripe about payments of which nothing was heard: a webhook may never come."""
    for payment_id in deposits.unsettled(timezone.now()):
        look_again(payment_id)


@app.periodic(cron="45 3 * * *")
@app.task(name="forget_stripe_events")
def forget_stripe_events(timestamp: int) -> None:
    """Old events cannot come again: their signatures have long run out."""
    StripeEvent.objects.filter(received_at__lt=timezone.now() - _REMEMBERED).delete()


def look_again(payment_id: int) -> None:
    """Have a payment settled, unless such a look is already queued."""
    task = settle_payment.configure(queueing_lock=f"settle_payment:{payment_id}")
    with suppress(AlreadyEnqueued), transaction.atomic():
        task.defer(payment_id=payment_id)
