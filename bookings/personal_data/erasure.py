"""Erasing a customer at their request."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from bookings import events, scheduling
from bookings.messaging import outbox
from bookings.models import CustomerLink, MessagePhoto, Review, VisitPhoto, WaitlistEntry
from bookings.personal_data import forget, letters, records
from bookings.scheduling.history import By


class UpcomingVisits(Exception):
    """The customer has visits ahead. They are to be made or cancelled first; `references` are theirs."""

    def __init__(self, references: list[str]) -> None:
        super().__init__(", ".join(references))
        self.references = references


@dataclass(frozen=True, slots=True)
class Erased:
    """How many of what. A second run finds nothing."""

    bookings: int
    cancelled: int
    messages: int
    photos: int
    waiting_emails: int
    written_emails: int
    elsewhere: int


def erase(who: str, *, cancel: bool = False, user: User | None = None, now: datetime | None = None) -> Erased:
    """Forget everything about this address (or reference, see records.of), all or nothing.

    Visits ahead are cancelled when `cancel` says so, and nobody is written to. Raises UpcomingVisits otherwise,
    ValueError for whom nobody knows.
    """
    now = now or timezone.now()
    kept = records.of(who)
    with transaction.atomic():
        list(kept.bookings.order_by("pk").select_for_update(of=("self",)))
        ahead = list(kept.upcoming(now).select_related("service", "handyman"))
        if ahead and not cancel:
            raise UpcomingVisits([booking.reference for booking in ahead])
        for booking in ahead:
            scheduling.cancel(booking=booking, by=By.STAFF, user=user)
        booking_ids = list(kept.bookings.values_list("pk", flat=True))
        references = list(kept.bookings.values_list("reference", flat=True))
        message_ids = list(kept.messages.values_list("pk", flat=True))
        entry_ids = list(kept.waiting.values_list("pk", flat=True))
        waiting = outbox.forget_emails(booking_ids=booking_ids, message_ids=message_ids, entry_ids=entry_ids)
        photos = MessagePhoto.objects.filter(message__in=message_ids).count()
        photos += VisitPhoto.objects.filter(booking__in=booking_ids).count()
        kept.messages.delete()
        WaitlistEntry.objects.filter(pk__in=entry_ids).delete()
        Review.objects.filter(booking__in=booking_ids).delete()
        CustomerLink.objects.filter(booking__in=booking_ids).delete()
        elsewhere = sum(rows.delete()[0] for rows in kept.elsewhere)
        bookings = forget.anonymise(kept.bookings, now)
        if bookings or message_ids:
            events.publish(events.PersonalDataErased(bookings=bookings, messages=len(message_ids), why="request"))
    # Files know no transaction: the rows are gone for certain before they are touched.
    written = letters.forget(kept.who, *references)
    return Erased(bookings, len(ahead), len(message_ids), photos, waiting, written, elsewhere)
