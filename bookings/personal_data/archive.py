"""What is kept about a customer, as a file to give them."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

from django.conf import settings
from django.utils import timezone

from bookings import events, money
from bookings.models import Booking, BookingLine, ContactMessage, Payment, Quote, Review, SentEmail, WaitlistEntry
from bookings.personal_data import records
from bookings.scheduling import Customer

_OF_A_DEPOSIT = ("currency", "status", "intent_id", "refund_id", "created_at", "paid_at", "refunded_at")


def write(who: str, file: IO[bytes], now: datetime | None = None) -> int:
    """Write a zip with everything as JSON (times in UTC) and the photos; returns how many records.

    Raises ValueError for whom nobody knows.
    """
    kept = records.of(who)
    bookings, messages = [], []
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for booking in kept.bookings.with_jobs().order_by("pk"):
            photos = {f"photos/visit-{booking.reference}-{photo.pk}.jpg": photo.jpeg for photo in booking.photos.all()}
            for name, jpeg in photos.items():
                archive.writestr(name, bytes(jpeg))
            bookings.append(_booking(booking) | {"photos": list(photos)})
        for message in kept.messages.order_by("pk"):
            photos = {
                f"photos/message-{message.pk}-{photo.pk}.jpg": photo.jpeg for photo in message.photos.order_by("pk")
            }
            for name, jpeg in photos.items():
                archive.writestr(name, bytes(jpeg))
            messages.append(_message(message, photos))
        document = {
            "exported_at": now or timezone.now(),
            "customer": kept.who,
            "bookings": bookings,
            "messages": messages,
            "waiting_for": [_entry(entry) for entry in kept.waiting.select_related("service").order_by("pk")],
            "failed_sign_ins": sum(rows.count() for rows in kept.elsewhere),
        }
        archive.writestr("customer.json", json.dumps(document, default=_plain, ensure_ascii=False, indent=2))
    events.publish(events.PersonalDataExported(bookings=len(bookings), messages=len(messages)))
    return len(bookings) + len(messages)


def _booking(booking: Booking) -> dict[str, Any]:
    history = booking.events.values("at", "kind", "by", "note")
    sent = SentEmail.objects.filter(key__startswith=f"booking:{booking.pk}:").order_by("sent_at")
    return {
        "reference": booking.reference,
        "status": booking.status,
        "service": booking.service.name,
        "handyman": booking.handyman.name,
        "starts_at": booking.starts_at,
        "arrival_until": booking.arrival_until,
        "ends_at": booking.ends_at,
        **{name: getattr(booking, name) for name in Customer.__dataclass_fields__},
        "jobs": [_job(job) for job in booking.jobs],
        "pricing": booking.pricing,
        "price": f"{money.exact(booking.price_pence):f}",
        "currency": settings.BUSINESS_CURRENCY,
        "deposit": _deposit(Payment.objects.filter(booking=booking).first()),
        "consent_at": booking.consent_at,
        "created_at": booking.created_at,
        "history": list(history),
        "reports": list(booking.reports.values("at", "kind", "minutes", "words", "materials")),
        "review": _review(Review.objects.filter(booking=booking).first()),
        "emails_sent": [{"kind": email.key.split(":")[2], "at": email.sent_at} for email in sent],
    }


def _review(review: Review | None) -> dict[str, Any] | None:
    fields = ("date", "rating", "body", "author", "place", "published")
    return {name: getattr(review, name) for name in fields} if review else None


def _job(job: BookingLine) -> dict[str, Any]:
    kept = {"service": job.service.name, "quantity": job.quantity, "minutes": job.minutes, "pricing": job.pricing}
    return kept | {"price": f"{money.exact(job.price_pence):f}", "minimum_minutes": job.minimum_minutes}


def _deposit(payment: Payment | None) -> dict[str, Any] | None:
    if payment is None:
        return None
    amount = f"{money.exact(payment.amount_pence, payment.currency.upper()):f}"
    return {"amount": amount, **{name: getattr(payment, name) for name in _OF_A_DEPOSIT}}


def _message(message: ContactMessage, photos: Iterable[str]) -> dict[str, Any]:
    fields = ("created_at", "topic", "name", "email", "phone", "body", "suspected_spam", "handled_at")
    answers = list(message.answers.values("written_at", "body"))
    quotes = [_quote(quote) for quote in message.quotes.with_lines()]
    return {
        **{name: getattr(message, name) for name in fields},
        "answers": answers,
        "quotes": quotes,
        "photos": list(photos),
    }


def _quote(quote: Quote) -> dict[str, Any]:
    fields = ("written_at", "valid_until", "note", "accepted_at", "withdrawn_at")
    return {**{name: getattr(quote, name) for name in fields}, "jobs": [_job(job) for job in quote.jobs]}


def _entry(entry: WaitlistEntry) -> dict[str, Any]:
    fields = ("created_at", "confirmed_at", "ended_at", "ended", "weekdays", "not_before", "not_after", "last_day")
    return {
        "service": entry.service.name,
        "booking": entry.booking and entry.booking.reference,
        **{name: getattr(entry, name) for name in (*fields, *Customer.__dataclass_fields__)},
        "offers": list(entry.offers.values("starts_at", "made_at", "outcome")),
    }


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
