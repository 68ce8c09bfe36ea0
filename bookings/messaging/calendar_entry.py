"""A booking as a calendar entry (iCalendar, RFC 5545; updates and cancellations after RFC 5546)."""

from datetime import UTC
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from icalendar import Calendar, Event, vCalAddress, vText

from bookings.models import Booking, Status
from bookings.phrases import clock, lasts

_STATUS = {Status.HELD: "TENTATIVE", Status.CANCELLED: "CANCELLED"}


_HELD = {
    True: "This time is kept for you until the deposit is paid.",
    False: "This time is kept for you until you confirm the booking.",
}


def invitation(booking: Booking, *, mailed: bool = False) -> Calendar:
    """The entry as it stands: method REQUEST, or CANCEL once the visit is off. `mailed`: nothing in a customer's words.

    It lasts from the opening of the arrival window until the latest end of the job, because somebody must be in for
    all of that; the title says the window. Tentative while it is held. Times are in UTC.
    """
    cancelled = booking.status == Status.CANCELLED
    window = f"{clock(booking.starts_at)} to {clock(booking.arrival_until)}"

    event = Event()
    event.add("uid", f"{booking.reference}@{urlsplit(settings.SITE_URL).hostname}")
    event.add("sequence", booking.sequence)
    event.add("dtstamp", timezone.now().astimezone(UTC))
    event.add("dtstart", booking.starts_at.astimezone(UTC))
    event.add("dtend", booking.latest_end.astimezone(UTC))
    event.add("summary", f"{booking.title}, arrival {window}: {settings.BUSINESS_NAME}")
    event.add("description", _description(booking, window))
    event.add("location", booking.postcode if mailed else ", ".join(booking.place))
    event.add("status", _STATUS.get(Status(booking.status), "CONFIRMED"))
    event.add("url", settings.SITE_URL + booking.get_absolute_url())
    event.add("organizer", _address(parseaddr(settings.DEFAULT_FROM_EMAIL)[1], settings.BUSINESS_NAME), encode=False)
    if booking.customer_email:
        event.add("attendee", _address(booking.customer_email, "" if mailed else booking.customer_name), encode=False)

    calendar = Calendar()
    calendar.add("prodid", f"-//{settings.BUSINESS_NAME}//Bookings//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if cancelled else "REQUEST")
    calendar.add_component(event)
    return calendar


def _description(booking: Booking, window: str) -> str:
    lines = (
        _HELD[hasattr(booking, "payment")] if booking.status == Status.HELD else "",
        f"{booking.handyman.name} arrives between {window.replace(' to ', ' and ')}.",
        "\n".join(f"- {job.name}" for job in booking.jobs) if booking.has_several_jobs else "",
        f"The job{'s take' if booking.has_several_jobs else ' takes'} about {lasts(booking)}.",
        f"Questions? Ring {settings.BUSINESS_PHONE}.",
    )
    return "\n".join(line for line in lines if line)


def _address(email: str, name: str) -> vCalAddress:
    address = vCalAddress(f"mailto:{email}")
    if name:
        address.params["cn"] = vText(name)
    return address
