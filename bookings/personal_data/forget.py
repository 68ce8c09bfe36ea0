"""Forgetting rows: at a customer's request, and by age."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bookings import country, events
from bookings.models import (
    Booking,
    BookingEvent,
    BookingQuerySet,
    ContactMessage,
    FormerAddress,
    VisitPhoto,
    VisitReport,
    WaitlistEntry,
    new_link_key,
)

NAME = "Erased"
_AT_ONCE = 500
_WAITED_DAYS = 30
"""An entry of the waitlist that is over is kept so long, for who opens its link."""
_PERSONAL = (
    "customer_name",
    "customer_email",
    "customer_phone",
    "address",
    "postcode",
    "notes",
    "link_key",
    "client",
    "erased_at",
)


def anonymise(bookings: BookingQuerySet, now: datetime) -> int:
    """Take who and where out of these bookings, permanently; returns of how many. What the books need stays.

    Staff's notes in the history and what handymen reported go too, for who knows what they say; the link stops working.
    """
    with transaction.atomic():
        chosen = list(bookings.filter(erased_at=None).order_by("pk").select_for_update(of=("self",)))
        for booking in chosen:
            booking.customer_name = NAME
            booking.customer_email = booking.customer_phone = booking.address = booking.notes = ""
            booking.postcode = country.current().district(booking.postcode)
            booking.link_key, booking.client = new_link_key(), ""
            booking.erased_at = now
        Booking.objects.bulk_update(chosen, _PERSONAL, batch_size=_AT_ONCE)
        BookingEvent.objects.filter(booking__in=chosen).update(note="")
        VisitReport.objects.filter(booking__in=chosen).update(words="", materials="")
        FormerAddress.objects.filter(booking__in=chosen).delete()
        VisitPhoto.objects.filter(booking__in=chosen).delete()
    return len(chosen)


def old_records(now: datetime | None = None) -> None:
    """Forget what is older than KEEP_BOOKINGS_DAYS, KEEP_MESSAGES_DAYS and KEEP_SPAM_DAYS say. Safe to run twice."""
    now = now or timezone.now()

    def before(days: int) -> datetime:
        return now - timedelta(days=days)

    done = Booking.objects.filter(erased_at=None, starts_at__lt=before(settings.KEEP_BOOKINGS_DAYS)).order_by(
        "starts_at"
    )
    bookings = 0
    while batch := anonymise(Booking.objects.filter(pk__in=list(done.values_list("pk", flat=True)[:_AT_ONCE])), now):
        bookings += batch
    WaitlistEntry.objects.filter(ended_at__lt=before(_WAITED_DAYS)).delete()
    messages = ContactMessage.objects.filter(created_at__lt=before(settings.KEEP_MESSAGES_DAYS))
    spam = ContactMessage.objects.filter(suspected_spam=True, created_at__lt=before(settings.KEEP_SPAM_DAYS))
    with transaction.atomic():
        gone = messages.count() + spam.exclude(pk__in=messages).count()
        (messages | spam).delete()
        if bookings or gone:
            events.publish(events.PersonalDataErased(bookings=bookings, messages=gone, why="age"))
