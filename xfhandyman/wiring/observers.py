"""Booking events become business counters, log lines and span events. With spans.py, all that knows both apps."""

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from bookings import events
from telemetry import signals, traces
from telemetry.events import Event, Level, register
from xfhandyman.wiring import metrics

_WORRYING = events.EmailFailed | events.PushFailed | events.LimitUnchecked | events.StripeFailed | events.WebhookRefused
_LOGGED = {"service": "service_slug", "error": "error_type"}
"""Fields whose names mean something else to what keeps logs."""
BOOKINGS = signals.flow("bookings", says="Bookings stop", because="something on the way to a booking")


def watch_bookings() -> None:
    """Listen to what happens in the business; to be called once."""
    events.occurred.connect(_observe, dispatch_uid="xfhandyman.wiring.observers")
    events.continued.connect(_link, dispatch_uid="xfhandyman.wiring.observers")
    events.origin = _origin


def _observe(*, event: events.Event, **_signal: Any) -> None:
    if count := _COUNTS.get(type(event)):
        count(event)
    _REGISTERED[type(event)].happened(**{_LOGGED.get(name, name): value for name, value in asdict(event).items()})


def _origin() -> str:
    return traces.carrier().get("traceparent", "")


def _link(*, origin: str, **_signal: Any) -> None:
    traces.link(origin)


def _registered(kind: type[events.Event]) -> Event:
    """`BookingCreated` becomes `booking_created`, with what its docstring says."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
    level: Level = "warning" if issubclass(kind, _WORRYING) else "info"
    return register(name, level, (kind.__doc__ or "").partition("\n")[0], logger="bookings")


def _booked(service: str) -> None:
    metrics.bookings_created.labels(service).inc()
    BOOKINGS.happened()


def _quoted(replaces: bool) -> None:
    metrics.quotes.labels("sent").inc()
    if replaces:
        metrics.quotes.labels("replaced").inc()


_KINDS = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
# What others are kinds of is not published itself.
_REGISTERED = {kind: _registered(kind) for kind in _KINDS if not any(kind in other.__mro__[1:] for other in _KINDS)}


_COUNTS: dict[type[events.Event], Callable[[Any], None]] = {
    # A held slot is not yet a booking; it becomes one when it is confirmed.
    events.BookingCreated: lambda event: _booked(event.service),
    events.BookingConfirmed: lambda event: _booked(event.service),
    events.BookingReinstated: lambda event: _booked(event.service),
    events.BookingRejected: lambda event: metrics.bookings_rejected.labels(event.reason).inc(),
    events.JobAdded: lambda event: metrics.jobs_added.labels(event.service).inc(),
    events.PlaceUnknown: lambda event: metrics.places_unknown.labels(event.by).inc(),
    events.BookingCancelled: lambda event: metrics.bookings_cancelled.labels(event.by).inc(),
    events.WaitlistJoined: lambda event: metrics.waitlist.labels("confirmed" if event.confirmed else "joined").inc(),
    events.WaitlistOffered: lambda _: metrics.waitlist.labels("offered").inc(),
    events.WaitlistOfferEnded: lambda event: metrics.waitlist.labels(event.outcome).inc(),
    events.WaitlistLeft: lambda event: metrics.waitlist.labels(event.how).inc(),
    events.VisitReported: lambda event: metrics.visit_reports.labels(
        event.kind, "refused" if event.refused else "accepted"
    ).inc(),
    events.PhotosAdded: lambda event: metrics.visit_photos.labels(event.sender).inc(event.count),
    events.ReviewWritten: lambda event: metrics.reviews.labels(str(event.rating)).inc(),
    events.CustomerLinkAsked: lambda event: metrics.customer_links.labels("sent" if event.sent else "not_sent").inc(),
    events.CustomerLinkOpened: lambda _: metrics.customer_links.labels("opened").inc(),
    events.ContactMessageReceived: lambda event: metrics.contact_forms_submitted.labels(event.topic).inc(),
    events.ContactMessageAnswered: lambda event: metrics.contact_messages_answered.labels(event.topic).inc(),
    events.QuoteSent: lambda event: _quoted(event.replaces),
    events.QuoteWithdrawn: lambda _: metrics.quotes.labels("withdrawn").inc(),
    events.QuoteAccepted: lambda _: metrics.quotes.labels("accepted").inc(),
    events.QuoteBooked: lambda _: metrics.quotes.labels("booked").inc(),
    events.CheckoutOpened: lambda _: metrics.payments.labels("opened").inc(),
    events.CheckoutClosed: lambda _: metrics.payments.labels("unpaid").inc(),
    events.DepositPaid: lambda _: metrics.payments.labels("paid").inc(),
    events.RefundOwed: lambda _: metrics.payments.labels("refund_owed").inc(),
    events.DepositRefunded: lambda _: metrics.payments.labels("refunded").inc(),
    events.StripeAnswered: lambda event: metrics.stripe_calls.labels(event.action, "ok").observe(event.seconds),
    events.StripeFailed: lambda event: metrics.stripe_calls.labels(event.action, event.outcome).observe(event.seconds),
    events.WebhookReceived: lambda event: metrics.webhook_lag.labels(event.kind).observe(event.lag),
    events.WebhookRefused: lambda event: metrics.webhooks_refused.labels(event.reason).inc(),
    events.EmailSent: lambda event: metrics.emails.labels(event.kind, "sent").inc(),
    events.EmailFailed: lambda event: metrics.emails.labels(event.kind, "failed").inc(),
    events.PushSent: lambda event: metrics.pushes.labels(event.outcome).inc(),
    events.PushFailed: lambda _: metrics.pushes.labels("failed").inc(),
    events.LimitReached: lambda event: metrics.limits.labels(event.limit, event.whose).inc(),
    events.LimitUnchecked: lambda event: metrics.limits.labels(event.limit, "unchecked").inc(),
}
