"""A booking as a calendar entry (iCalendar, RFC 5545; updates and cancellations after RFC 5546)."""

from datetime import UTC
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from icalendar import Calendar, Event, vCalAddress, vText

from .models import Booking, Status


def invitation(booking: Booking) -> Calendar:
    """The entry as it stands: method REQUEST, or CANCEL once the visit is off. Times are in UTC."""
    cancelled = booking.status == Status.CANCELLED

    event = Event()
    event.add("uid", f"{booking.reference}@{urlsplit(settings.SITE_URL).hostname}")
    event.add("sequence", booking.sequence)
    event.add("dtstamp", timezone.now().astimezone(UTC))
    event.add("dtstart", booking.starts_at.astimezone(UTC))
    event.add("dtend", booking.ends_at.astimezone(UTC))
    event.add("summary", f"{booking.service.name}: {settings.BUSINESS_NAME}")
    event.add("location", f"{booking.address}, {booking.postcode}")
    event.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    event.add("url", settings.SITE_URL + booking.get_absolute_url())
    event.add("organizer", _address(parseaddr(settings.DEFAULT_FROM_EMAIL)[1], settings.BUSINESS_NAME), encode=False)
    if booking.customer_email:
        event.add("attendee", _address(booking.customer_email, booking.customer_name), encode=False)

    calendar = Calendar()
    calendar.add("prodid", f"-//{settings.BUSINESS_NAME}//Bookings//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if cancelled else "REQUEST")
    calendar.add_component(event)
    return calendar


def _address(email: str, name: str) -> vCalAddress:
    address = vCalAddress(f"mailto:{email}")
    address.params["cn"] = vText(name)
    return address
