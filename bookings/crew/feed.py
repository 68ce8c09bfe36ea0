"""A handyman's visits as a calendar that others read by its secret address."""

from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bookings import country, crew
from bookings.crew import days as diary
from bookings.models import CalendarFeed, Status
from bookings.phrases import clock
from bookings.views.manage import dead_link

if TYPE_CHECKING:
    from icalendar import Event

_BACK, _AHEAD = timedelta(days=7), timedelta(days=90)


@never_cache
@require_safe
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The visits of the last week and the next three months. 404 for an address that is forged or revoked."""
    try:
        found = CalendarFeed.objects.for_link(token)
    except CalendarFeed.DoesNotExist:
        found = None
    user = found.handyman.user if found else None
    if found is None or user is None or not crew.may_see(user):
        return dead_link(request, "404.html")
    return HttpResponse(_calendar(found), content_type="text/calendar; charset=utf-8")


def _calendar(feed: CalendarFeed) -> bytes:
    from icalendar import Calendar  # when it is used: icalendar takes 35 ms of a start

    now = timezone.now()
    visits = diary.of_handyman(feed.handyman).filter(starts_at__gte=now - _BACK, starts_at__lt=now + _AHEAD)
    calendar = Calendar()
    calendar.add("prodid", f"-//{settings.BUSINESS_NAME}//Crew//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", f"{settings.BUSINESS_NAME}: {feed.handyman.name}")
    calendar.add("refresh-interval;value=duration", "PT15M")
    for visit in diary.with_details(visits.order_by("during")):
        calendar.add_component(_entry(visit, names=feed.names))
    return bytes(calendar.to_ical())


def _entry(visit: diary.Visit, *, names: bool) -> "Event":
    """One visit, at the time it is planned for. Without `names` nothing says whose it is, but for the district."""
    from icalendar import Event

    booking, entry = visit.booking, Event()
    district = country.current().district(booking.postcode)
    shown = names and booking.status != Status.CANCELLED
    entry.add("uid", f"crew-{booking.reference}@{urlsplit(settings.SITE_URL).hostname}")
    entry.add("sequence", booking.sequence)
    entry.add("dtstamp", timezone.now().astimezone(UTC))
    entry.add("dtstart", booking.planned_at.astimezone(UTC))
    entry.add("dtend", booking.ends_at.astimezone(UTC))
    entry.add(
        "summary", f"{visit.jobs}, {booking.customer_name}" if shown else f"{visit.jobs}, {district}".rstrip(", ")
    )
    entry.add("location", ", ".join(booking.place) if shown else district)
    window = f"Window {clock(booking.starts_at)} to {clock(booking.arrival_until)}."
    entry.add("description", f"{window}\nPhone {booking.customer_phone}" if shown else window)
    entry.add("status", "CANCELLED" if booking.status == Status.CANCELLED else "CONFIRMED")
    return entry
