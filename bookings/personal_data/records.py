"""Where the business keeps what belongs to one customer."""

from dataclasses import dataclass
from datetime import datetime

from django.apps import apps
from django.conf import settings
from django.db.models import Model, QuerySet
from django.db.models.functions import Lower

from bookings.models import Booking, BookingQuerySet, ContactMessage, WaitlistEntry, WaitlistEntryQuerySet


@dataclass(frozen=True, slots=True)
class Records:
    """The rows of one customer, `who` is their e-mail address or, without one, their booking's reference.

    `elsewhere` are rows of other apps, listed in settings.PERSONAL_DATA_ELSEWHERE.
    """

    who: str
    bookings: BookingQuerySet
    messages: QuerySet[ContactMessage]
    waiting: WaitlistEntryQuerySet
    elsewhere: tuple[QuerySet[Model], ...]

    def upcoming(self, now: datetime) -> BookingQuerySet:
        """Visits that are still to be made, or being made."""
        return self.bookings.open().filter(ends_at__gt=now)


def of(who: str) -> Records:
    """Everything kept under this address, whatever its case.

    Whoever rang and gave no address is known by the reference of their booking alone. Raises ValueError for what is
    neither.
    """
    who = who.strip()
    if "@" not in who:
        known = Booking.objects.filter(reference=who.upper(), customer_email="", erased_at=None)
        if not known.exists():
            raise ValueError("That is not an e-mail address, nor the reference of a booking without one.")
        return Records(
            who=who.upper(),
            bookings=Booking.objects.filter(reference=who.upper()),
            messages=ContactMessage.objects.none(),
            waiting=WaitlistEntry.objects.none(),
            elsewhere=(),
        )
    address = who.lower()
    return Records(
        who=address,
        bookings=Booking.objects.alias(lowered=Lower("customer_email")).filter(lowered=address),
        messages=ContactMessage.objects.alias(lowered=Lower("email")).filter(lowered=address),
        waiting=WaitlistEntry.objects.of_address(address),
        elsewhere=tuple(_elsewhere(address)),
    )


def _elsewhere(address: str) -> list[QuerySet[Model]]:
    return [
        apps.get_model(model)._default_manager.filter(**{f"{column}__iexact": address})
        for model, column in settings.PERSONAL_DATA_ELSEWHERE
        if apps.is_installed(model.partition(".")[0])
    ]
