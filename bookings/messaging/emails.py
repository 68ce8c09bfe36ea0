"""The e-mails of the business: what they say comes from templates/emails/, when they leave from tasks.py."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from bookings.messaging import links
from bookings.models import (
    Booking,
    BookingEvent,
    ContactMessage,
    CustomerLink,
    FormerAddress,
    Handyman,
    MessageAnswer,
    OfficeContact,
    Quote,
    Status,
    VisitReport,
)
from bookings.phrases import clock

_SUBJECTS = {
    "confirmation": "Your booking {reference}: {service}",
    "moved": "New time for your booking {reference}",
    "added": "Another job in your booking {reference}",
    "cancelled": "Your booking {reference} is cancelled",
    "reminder": "{when}: {service}",
    "prove": "Confirm your booking: {service}",
    "held": "Pay the deposit to book: {service}",
    "late": "We are sorry: your payment for {reference} comes back",
    "restored": "Your booking {reference} stands after all",
    "review": "How was it? {service}",
    "refunded": "Your deposit for {reference} comes back",
    "on_the_way": "On the way to you, there about {at}",
    "running_late": "Running late, there about {at}",
}
_CANCELLED_BY_US = "We are sorry: we have to cancel your visit {reference}"
_NEW = (BookingEvent.Kind.CREATED, BookingEvent.Kind.CONFIRMED)
_REPORTED = {
    BookingEvent.Kind.COULD_NOT.value: "Could not be done",
    BookingEvent.Kind.REPORTED.value: "Reported after it was changed",
}
_WITH_CALENDAR_ENTRY = ("confirmation", "moved", "added", "cancelled", "restored")


def booking_email(booking: Booking, kind: str, expected_at: datetime | None = None) -> EmailMessage:
    """To the customer: text, HTML and the calendar entry. `kind` is one of the subjects' keys.

    `expected_at`: of what a handyman reports from his way, when he will be there.

    Nothing of it is in a customer's own words: anybody can book for anybody's address, and would have the business
    write what he likes to it. What was typed stands on the page that the link opens.
    """
    now = timezone.now()
    today = timezone.localdate(booking.starts_at) == timezone.localdate(now)
    when = "today" if today else "tomorrow"  # a reminder, if late, comes on the day itself
    mail = links.marker(booking)
    off = booking.cancellation if kind == "cancelled" else None
    context = {
        "booking": booking,
        "when": when,
        "off": off,
        "expected_at": expected_at,
        "changeable": booking.can_be_changed(now),
        "business": business(),
        "link": f"{settings.SITE_URL}{booking.get_absolute_url()}?mail={mail}",
        "review_link": settings.SITE_URL + reverse("booking_review", args=[booking.link_token]),
        "prove_link": f"{settings.SITE_URL}{reverse('booking_prove', args=[booking.link_token])}?mail={mail}",
        "pay_link": settings.SITE_URL + reverse("booking_pay", args=[booking.link_token]),
    }
    subject = _CANCELLED_BY_US if off and off.is_ours else _SUBJECTS[kind]
    email = EmailMultiAlternatives(
        subject=subject.format(
            reference=booking.reference,
            service=booking.title,
            when=when.capitalize(),
            at=expected_at and clock(expected_at),
        ),
        body=render_to_string(f"emails/{kind}.txt", context),
        to=[booking.customer_email],
    )
    email.attach_alternative(render_to_string(f"emails/{kind}.html", context), "text/html")
    if kind in _WITH_CALENDAR_ENTRY:
        from bookings.messaging import calendar_entry  # when it is used: icalendar takes 35 ms of a start

        entry = calendar_entry.invitation(booking, mailed=True)
        email.attach("visit.ics", entry.to_ical().decode(), f"text/calendar; method={entry['method']}")
    return email


def business() -> dict[str, str]:
    """What an e-mail's template knows of the business."""
    return {
        "name": settings.BUSINESS_NAME,
        "phone": settings.BUSINESS_PHONE,
        "url": settings.SITE_URL,
        "language": f"en-{settings.BUSINESS_COUNTRY}",
    }


def news_of(report: VisitReport, booking: Booking) -> tuple[str, datetime]:
    """Which e-mail tells this customer of the report, and when it says that the handyman will be there."""
    minutes = timedelta(minutes=report.minutes or 0)
    if report.kind == VisitReport.Kind.LATE:
        return "running_late", max(booking.planned_at, report.at) + minutes
    return "on_the_way", report.at + minutes


def address_email(former: FormerAddress) -> EmailMessage:
    """To the address that a booking had before: that it was replaced. No link, and no word of the customer's."""
    return EmailMessage(
        subject=f"The e-mail address of booking {former.booking.reference} has changed",
        body=render_to_string("emails/address.txt", {"booking": former.booking, "business": business()}),
        to=[former.email],
    )


def visits_email(link: CustomerLink) -> EmailMessage:
    """To a customer: the way to all their visits, good once."""
    address = settings.SITE_URL + reverse("own_open", args=[link.mailed_token])
    context = {"link": address, "hours": link.MAILED_FOR // timedelta(hours=1), "business": business()}
    email = EmailMultiAlternatives(
        subject=f"Your visits with {settings.BUSINESS_NAME}",
        body=render_to_string("emails/visits.txt", context),
        to=[link.booking.customer_email],
    )
    email.attach_alternative(render_to_string("emails/visits.html", context), "text/html")
    return email


def message_email(message: ContactMessage) -> EmailMessage:
    """To staff: what somebody wrote; a reply goes to who wrote it."""
    return EmailMessage(
        subject=f"Message: {message.get_topic_display()}",
        body=render_to_string("emails/message.txt", {"message": message, "site_url": settings.SITE_URL}),
        to=[settings.STAFF_EMAIL],
        reply_to=[message.email],
    )


def answer_email(answer: MessageAnswer) -> EmailMessage:
    """To who wrote a message: what staff answered. Their own words are left out: anybody can give anybody's address."""
    message = answer.message
    context = {"answer": answer, "asked_at": message.created_at, "business": business()}
    email = EmailMultiAlternatives(
        subject=f"Your message to {settings.BUSINESS_NAME}",
        body=render_to_string("emails/answer.txt", context),
        to=[message.email],
    )
    email.attach_alternative(render_to_string("emails/answer.html", context), "text/html")
    return email


def quote_email(quote: Quote) -> EmailMessage:
    """To who wrote a message: the quote, and the way to accept it. Their own words are left out, as in an answer."""
    context = {
        "quote": quote,
        "asked_at": quote.message.created_at,
        "link": settings.SITE_URL + quote.get_absolute_url(),
        "business": business(),
    }
    email = EmailMultiAlternatives(
        subject=f"Your quote from {settings.BUSINESS_NAME}",
        body=render_to_string("emails/quote.txt", context),
        to=[quote.message.email],
    )
    email.attach_alternative(render_to_string("emails/quote.html", context), "text/html")
    return email


def notification_email(to: Handyman | OfficeContact, changes: Sequence[BookingEvent], more: int) -> EmailMessage:
    """To a handyman or the office: what changed, by booking, and `more` changes that are only counted.

    Plain text. The subject has no word of a customer's, and their words cannot pass for ours in the body. A handyman
    gets what he needs at the door, and of a visit that is not his any more only which one it was.
    """
    by_booking: dict[int, list[BookingEvent]] = {}
    for change in changes:
        by_booking.setdefault(change.booking_id, []).append(change)
    visits = [_Visit(each[-1].booking, each, to if isinstance(to, Handyman) else None) for each in by_booking.values()]
    context = {"visits": visits, "more": more, "to": to, "for_office": isinstance(to, OfficeContact)}
    context |= {"business": settings.BUSINESS_NAME, "site_url": settings.SITE_URL}
    return EmailMessage(
        subject=f"{len(visits) + more} bookings changed" if len(visits) + more > 1 else visits[0].subject,
        body=render_to_string("emails/notification.txt", context),
        to=[to.address],
        headers={"Auto-Submitted": "auto-generated"},
    )


@dataclass(frozen=True, slots=True)
class _Visit:
    """What became of one booking in some changes, as its handyman or (with None) the office sees it."""

    booking: Booking
    changes: Sequence[BookingEvent]
    handyman: Handyman | None

    @property
    def happened(self) -> str:
        """What the recipient is to know of it, in a word or two."""
        if self.last.kind in _REPORTED:
            return _REPORTED[self.last.kind]
        if self.booking.status == Status.CANCELLED:
            return "Cancelled"
        if self.lost:
            return "Not yours any more"
        if any(change.kind in _NEW for change in self.changes):
            return "New"
        if self.handyman and self.moved and self.moved.was_with_id != self.handyman.pk:
            return "New for you"
        if self.moved:
            return "Moved"
        if any(change.kind == BookingEvent.Kind.ADDED for change in self.changes):
            return "Job added"
        return "Details corrected" if self.corrected else "Booked again"

    @property
    def corrected(self) -> str:
        """Which details were corrected, such as "phone, address"."""
        notes = (change.note for change in self.changes if change.kind == BookingEvent.Kind.CORRECTED)
        return ", ".join(dict.fromkeys(name for note in notes for name in note.split(", ")))

    @property
    def subject(self) -> str:
        start = timezone.localtime(self.starts_at)
        return f"{self.happened}: {self.booking.title}, {date_format(start, 'D j M, H:i')}"

    @property
    def lost(self) -> bool:
        """The visit went from this handyman to another."""
        return self.handyman is not None and self.booking.handyman_id != self.handyman.pk

    @property
    def moved(self) -> BookingEvent | None:
        """The first move, which has the time and the handyman that the recipient knows of."""
        return next((change for change in self.changes if change.was_at), None)

    @property
    def before(self) -> datetime | None:
        """When the visit was to start, where the recipient was notified of another time than it has now."""
        if self.moved is None or self.happened not in ("Moved", "Cancelled"):
            return None
        return None if self.moved.was_at == self.booking.starts_at else self.moved.was_at

    @property
    def starts_at(self) -> datetime:
        """The start or, of a visit that went to somebody else, the one that it had here."""
        return self.moved.was_at if self.lost and self.moved and self.moved.was_at else self.booking.starts_at

    @property
    def last(self) -> BookingEvent:
        return self.changes[-1]


def message_id(key: str) -> str:
    """The Message-ID of what is known by this key: the same each time, so a repeat is recognised as one."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{urlsplit(settings.SITE_URL).hostname}>"
