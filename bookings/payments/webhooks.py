"""What Stripe tells us. An event is checked, written down once and acknowledged; the work is done by a task."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bookings import events
from bookings.models import Payment, StripeEvent
from bookings.scheduling import deposits

_NAME = re.compile(r"[\w.-]{1,255}", re.ASCII)
TOLERANCE = 300
"""Seconds a signature is good for; an older one is a replay."""
KINDS = (
    "checkout.session.completed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
)


class NotFromStripe(Exception):
    """The signature is missing, wrong or old, or what was signed is not an event."""


def receive(payload: bytes, signature: str) -> None:
    """Take one event in, and have the payment it is about settled. A repetition changes nothing. Raises NotFromStripe.

    Only ids are kept. What the event says of the payment is not believed: Stripe is asked, because events come late,
    twice and out of order.
    """
    event = _checked(payload, signature)
    try:
        event_id, kind, told = _name(event["id"]), _name(event["type"]), event["data"]["object"]
        happened_at = datetime.fromtimestamp(int(event["created"]), UTC)
        about = _about(told)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        events.publish_now(events.WebhookRefused(reason="unreadable"))
        raise NotFromStripe from error
    events.continue_from(about.origin if about is not None else "")
    with transaction.atomic():
        facts = {"kind": kind[:100], "payment": about, "happened_at": happened_at}
        _, new = StripeEvent.objects.get_or_create(event_id=event_id, defaults=facts)
        if new and about is not None:
            deposits.settle_soon(about)
    lag = max(0.0, (timezone.now() - happened_at).total_seconds())
    known = kind if kind in KINDS else "other"
    events.publish_now(events.WebhookReceived(kind=known, lag=round(lag, 3), repeated=not new))


def _checked(payload: bytes, signature: str) -> Any:
    """The event, if Stripe has signed it lately."""
    import stripe

    try:
        stripe.WebhookSignature.verify_header(payload, signature, settings.STRIPE_WEBHOOK_SECRET, TOLERANCE)
    except (stripe.SignatureVerificationError, ValueError) as error:  # bytes that are no text are a ValueError
        events.publish_now(events.WebhookRefused(reason="signature"))
        raise NotFromStripe from error
    try:
        return json.loads(payload)
    except ValueError as error:
        events.publish_now(events.WebhookRefused(reason="unreadable"))
        raise NotFromStripe from error


def _about(told: dict[str, Any]) -> Payment | None:
    """The payment of ours that Stripe speaks of; None when it is another shop's of the same account."""
    if told.get("object") == "checkout.session":
        return Payment.objects.filter(session_id=_name(told["id"])).first()
    intent = told["id"] if told.get("object") == "payment_intent" else told.get("payment_intent")
    return Payment.objects.filter(intent_id=_name(intent)).first() if intent is not None else None


def _name(value: object) -> str:
    """An id or a kind, as Stripe writes them. Raises ValueError for other texts: some cannot even be looked up."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("not a name of Stripe's")
    return value
