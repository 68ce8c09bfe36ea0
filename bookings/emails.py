"""The e-mails of the business: what they say comes from templates/emails/, when they leave from tasks.py."""

import hashlib
from email.headerregistry import Address
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from . import calendar
from .models import Booking, ContactMessage

_SUBJECTS = {
    "confirmation": "Your booking {reference}: {service}",
    "moved": "New time for your booking {reference}",
    "cancelled": "Your booking {reference} is cancelled",
    "reminder": "Tomorrow: {service}",
    "held": "Pay the deposit to book: {service}",
    "late": "We are sorry: your payment for {reference} comes back",
    "refunded": "Your deposit for {reference} comes back",
}
_WITH_CALENDAR_ENTRY = ("confirmation", "moved", "cancelled")


def booking_email(booking: Booking, kind: str) -> EmailMessage:
    """To the customer: text, HTML and the calendar entry. `kind` is one of the subjects' keys."""
    context = {
        "booking": booking,
        "changeable": booking.can_be_changed(timezone.now()),
        "business": {"name": settings.BUSINESS_NAME, "phone": settings.BUSINESS_PHONE, "url": settings.SITE_URL},
        "link": settings.SITE_URL + booking.get_absolute_url(),
        "pay_link": settings.SITE_URL + reverse("booking_pay", args=[booking.link_token]),
    }
    email = EmailMultiAlternatives(
        subject=_SUBJECTS[kind].format(reference=booking.reference, service=booking.service.name),
        body=render_to_string(f"emails/{kind}.txt", context),
        to=[str(Address(booking.customer_name, addr_spec=booking.customer_email))],
    )
    email.attach_alternative(render_to_string(f"emails/{kind}.html", context), "text/html")
    if kind in _WITH_CALENDAR_ENTRY:
        entry = calendar.invitation(booking)
        email.attach("visit.ics", entry.to_ical().decode(), f"text/calendar; method={entry['method']}")
    return email


def message_email(message: ContactMessage) -> EmailMessage:
    """To staff: what somebody wrote; a reply goes to who wrote it."""
    return EmailMessage(
        subject=f"Message: {message.get_topic_display()}",
        body=render_to_string("emails/message.txt", {"message": message, "site_url": settings.SITE_URL}),
        to=[settings.STAFF_EMAIL],
        reply_to=[message.email],
    )


def message_id(key: str) -> str:
    """The Message-ID of what is known by this key: the same each time, so a repeat is recognised as one."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{urlsplit(settings.SITE_URL).hostname}>"
