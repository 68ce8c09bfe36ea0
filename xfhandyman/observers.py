"""Booking events become business counters, log lines and span events. With spans.py, all that knows both apps."""

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import structlog

from bookings import events
from telemetry import traces
from telemetry.metrics import catalogue

log = structlog.get_logger("bookings")
_WORRYING = events.EmailFailed | events.LimitUnchecked | events.StripeFailed | events.WebhookRefused
_service = catalogue.BoundedLabel(100)


def watch_bookings() -> None:
    """Listen to what happens in the business; to be called once."""
    events.occurred.connect(_observe, dispatch_uid="xfhandyman.observers")


def _observe(*, event: events.Event, **_signal: Any) -> None:
    if count := _COUNTS.get(type(event)):
        count(event)
    name = event_name(type(event))
    fields = asdict(event)
    (log.warning if isinstance(event, _WORRYING) else log.info)(name, **fields)
    traces.event(name, fields)


def event_name(kind: type[events.Event]) -> str:
    """`BookingCreated` is logged as `booking_created`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


_COUNTS: dict[type[events.Event], Callable[[Any], None]] = {
    # A held slot is not yet a booking; it becomes one when it is confirmed.
    events.BookingCreated: lambda event: catalogue.bookings_created.labels(_service(event.service)).inc(),
    events.BookingConfirmed: lambda event: catalogue.bookings_created.labels(_service(event.service)).inc(),
    events.BookingReinstated: lambda event: catalogue.bookings_created.labels(_service(event.service)).inc(),
    events.BookingRejected: lambda event: catalogue.bookings_rejected.labels(event.reason).inc(),
    events.BookingCancelled: lambda event: catalogue.bookings_cancelled.labels(event.by).inc(),
    events.ContactMessageReceived: lambda event: catalogue.contact_forms_submitted.labels(event.topic).inc(),
    events.CheckoutOpened: lambda _: catalogue.payments.labels("opened").inc(),
    events.CheckoutClosed: lambda _: catalogue.payments.labels("unpaid").inc(),
    events.DepositPaid: lambda _: catalogue.payments.labels("paid").inc(),
    events.RefundOwed: lambda _: catalogue.payments.labels("refund_owed").inc(),
    events.DepositRefunded: lambda _: catalogue.payments.labels("refunded").inc(),
    events.StripeAnswered: lambda event: catalogue.stripe_calls.labels(event.action, "ok").observe(event.seconds),
    events.StripeFailed: lambda event: catalogue.stripe_calls.labels(event.action, event.outcome).observe(
        event.seconds
    ),
    events.WebhookReceived: lambda event: catalogue.webhook_lag.labels(event.kind).observe(event.lag),
    events.WebhookRefused: lambda event: catalogue.webhooks_refused.labels(event.reason).inc(),
    events.EmailSent: lambda event: catalogue.emails.labels(event.kind, "sent").inc(),
    events.EmailFailed: lambda event: catalogue.emails.labels(event.kind, "failed").inc(),
    events.LimitReached: lambda event: catalogue.limits.labels(event.limit, event.whose).inc(),
    events.LimitUnchecked: lambda event: catalogue.limits.labels(event.limit, "unchecked").inc(),
}
