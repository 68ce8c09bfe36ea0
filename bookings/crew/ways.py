"""How a handyman gets from one visit of a day to the next, as far as the places are known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from bookings.models import Booking, Handyman, Postcode, Status
from bookings.slots.calendars import travel
from bookings.slots.travel import Place, Travel, metres

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Way:
    """To a visit, from the last one of that day or from where the day starts."""

    start: str
    """The postcode there."""
    leave_by: datetime
    """The latest moment at which he is on time, in whole minutes."""
    minutes: int
    """With parking."""


def ways(handyman: Handyman, bookings: Iterable[Booking]) -> dict[int, Way]:
    """By booking, the way to it. Takes them in order; costs one query, and has none where a place is not known."""
    standing = [each for each in bookings if each.status != Status.CANCELLED]
    legs = list(_legs(handyman.start_postcode, standing))
    known = places({postcode for booking, start in legs for postcode in (booking.postcode, start)})
    about = travel()
    return {
        booking.pk: way(about, start, metres(known[start], known[booking.postcode]), booking.planned_at)
        for booking, start in legs
        if start in known and booking.postcode in known
    }


def _legs(start: str, bookings: Iterable[Booking]) -> Iterable[tuple[Booking, str]]:
    """Each visit with the postcode from which he comes to it."""
    before: tuple[date, str] | None = None
    for booking in bookings:
        day = timezone.localdate(booking.planned_at)
        yield booking, before[1] if before and before[0] == day else start
        before = day, booking.postcode


def places(postcodes: set[str]) -> Mapping[str, Place]:
    """Where these postcodes are, as far as they are known. One query."""
    known = Postcode.objects.filter(code__in=postcodes - {""}).values_list("code", "latitude", "longitude")
    return {code: Place(latitude, longitude) for code, latitude, longitude in known}


def way(about: Travel, start: str, distance: int, arrives: datetime) -> Way:
    """From a postcode that is so many metres away, as the crow flies."""
    leave_by = about.departure(distance, arrives).replace(second=0, microsecond=0)
    return Way(start, leave_by, round((arrives - leave_by) / _MINUTE))
