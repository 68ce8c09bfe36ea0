"""The e-mails to those who wait for an earlier time. Nothing of them is in a customer's own words (see emails.py)."""

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string

from bookings.messaging import emails
from bookings.models import WaitlistEntry, WaitlistOffer


def joined(entry: WaitlistEntry) -> EmailMessage:
    """That they are in line, or how to confirm it."""
    subject = "You are in line: {}" if entry.is_waiting else "Confirm that you want an earlier time: {}"
    return _email(entry, "waitlist", subject.format(entry.title))


def offer(made: WaitlistOffer) -> EmailMessage:
    """A time that came free, and until when it is kept."""
    return _email(made.entry, "offer", f"An earlier time for you: {made.entry.title}", made)


def _email(entry: WaitlistEntry, kind: str, subject: str, made: WaitlistOffer | None = None) -> EmailMessage:
    link = settings.SITE_URL + entry.get_absolute_url()
    context = {"entry": entry, "offer": made, "hold": made and made.hold, "link": link, "business": emails.business()}
    email = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string(f"emails/{kind}.txt", context),
        to=[entry.email],
        headers={"List-Unsubscribe": f"<{link}#leave>"},
    )
    email.attach_alternative(render_to_string(f"emails/{kind}.html", context), "text/html")
    return email
