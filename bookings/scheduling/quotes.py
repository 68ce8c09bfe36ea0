"""Quotes: sent in answer to a message, accepted by its customer, and booked at the price that they name.

Each change locks the message first, as staff's form for it does: a quote is accepted, booked, replaced or withdrawn
one after the other, and whoever comes second is told what has happened.
"""

import hashlib
from collections.abc import Sequence
from datetime import date

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from bookings import events
from bookings.basket import Basket
from bookings.messaging import outbox
from bookings.models import Booking, ContactMessage, Quote, QuoteLine, VisitPhoto
from bookings.scheduling.errors import QuoteGone


def current(message: ContactMessage) -> Quote | None:
    """The quote that staff may withdraw or replace, if there is one."""
    quotes = Quote.objects.filter(message=message, withdrawn_at=None).with_lines()
    return next((quote for quote in reversed(quotes) if quote.is_open), None)


@transaction.atomic
def send(
    *, message: ContactMessage, lines: Sequence[QuoteLine], valid_until: date, note: str, user: User, key: str
) -> Quote:
    """Quote these jobs by e-mail, in place of the quote that stands; the message is handled. A `key` is sent once."""
    locked = _locked(message.pk)
    if earlier := locked.quotes.filter(key=key).first():
        return earlier
    now, before = timezone.now(), current(locked)
    quote = Quote.objects.create(message=locked, note=note, valid_until=valid_until, key=key, written_by=user)
    for line in lines:
        line.quote = quote
    QuoteLine.objects.bulk_create(lines)
    if before:
        Quote.objects.filter(pk=before.pk).update(withdrawn_at=now, replaced_by=quote)
    locked.handled_at, locked.handled_by = now, user
    locked.save(update_fields=["handled_at", "handled_by"])
    outbox.after_quote(quote)
    events.publish(events.QuoteSent(quote_id=quote.pk, message_id=locked.pk, replaces=before is not None))
    return quote


@transaction.atomic
def withdraw(*, quote: Quote) -> None:
    """Take it back. Does nothing when that is done; raises QuoteGone once its visit is booked."""
    found = _fresh(quote)
    if found.withdrawn_at:
        return
    if found.state == Quote.State.BOOKED:
        raise QuoteGone(found)
    Quote.objects.filter(pk=found.pk).update(withdrawn_at=timezone.now())
    events.publish(events.QuoteWithdrawn(quote_id=found.pk))


@transaction.atomic
def accept(*, quote: Quote) -> None:
    """Take the customer's yes. Does nothing when it was given; raises QuoteGone when it cannot be taken any more.

    The day on which they said so counts, however long staff held the lock.
    """
    today = timezone.localdate()
    found = _fresh(quote)
    state = found.state_on(today)
    if state in (Quote.State.ACCEPTED, Quote.State.BOOKED):
        return
    if state != Quote.State.OPEN:
        raise QuoteGone(found)
    Quote.objects.filter(pk=found.pk).update(accepted_at=timezone.now())
    events.publish(events.QuoteAccepted(quote_id=found.pk))


def book(booking: Booking, basket: Basket) -> None:
    """Within the booking's transaction: this visit is the one of the basket's quote, and has its photos.

    Raises QuoteGone where the quote was withdrawn or replaced meanwhile, or has its visit.
    """
    if basket.quote is None:
        return
    found = _fresh(basket.quote)
    if found.state != Quote.State.ACCEPTED:
        raise QuoteGone(found)
    Quote.objects.filter(pk=found.pk).update(booking=booking)
    pictures = {hashlib.sha256(photo.jpeg).hexdigest(): photo.jpeg for photo in found.message.photos.all()}
    VisitPhoto.objects.bulk_create(
        VisitPhoto(booking=booking, jpeg=jpeg, digest=digest) for digest, jpeg in pictures.items()
    )
    events.publish(events.QuoteBooked(quote_id=found.pk, booking_id=booking.pk))


def _locked(message_id: int) -> ContactMessage:
    return ContactMessage.objects.select_for_update(of=("self",)).get(pk=message_id)


def _fresh(quote: Quote) -> Quote:
    """The quote as it is, with its message locked. Raises QuoteGone where both were erased."""
    if not ContactMessage.objects.filter(pk=quote.message_id).select_for_update(of=("self",)).exists():
        raise QuoteGone(quote)
    return Quote.objects.with_lines().get(pk=quote.pk)
