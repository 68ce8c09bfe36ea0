"""Reviews: asked for the morning after a visit, written behind its signed link, shown once staff have approved them."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from bookings import events
from bookings.models import Booking, Review, Status
from bookings.slots import rules

_TIME_OF_DAY = time(10)


def ask_at(now: datetime) -> datetime:
    """The morning after: not while the paint is wet, and not at night."""
    zone = ZoneInfo(settings.BUSINESS_TIME_ZONE)
    return rules.instant(now.astimezone(zone).date() + timedelta(days=1), _TIME_OF_DAY, zone)


def can_be_written(booking: Booking) -> bool:
    """Whether its customer may (still) review this visit."""
    return booking.status == Status.COMPLETED and booking.erased_at is None and not hasattr(booking, "review")


def write(*, booking: Booking, rating: int, body: str, author: str, place: str) -> Review:
    """Keep a customer's review until staff approve it. There is one of a visit: a second is the first."""
    try:
        with transaction.atomic():
            review = Review.objects.create(
                booking=booking,
                service=booking.service,
                rating=rating,
                body=body,
                author=author,
                place=place,
                date=timezone.localdate(),
                published=False,
                looked_at=None,
            )
            events.publish(events.ReviewWritten(service=booking.service.slug, rating=rating))
    except IntegrityError:
        return Review.objects.get(booking=booking)
    return review
