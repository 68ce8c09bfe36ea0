"""What waits for the office, as the panels of the admin's first page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince

from bookings import crew, money, phone
from bookings.admin import clashes
from bookings.admin.desk import Desk
from bookings.admin.progress import Progress
from bookings.models import (
    Booking,
    ContactMessage,
    Payment,
    Quote,
    Review,
    Status,
    Step,
    TimeOffRequest,
    WaitlistEntry,
)

LISTED = 6
"""Lines that a panel shows; its heading has a link to all of them."""
MOST_COUNTED = 100
"""Beyond this a panel counts no further: the number would say nothing more, and cost a look at every row."""
_Row = TypeVar("_Row", bound=Model)


@dataclass(frozen=True)
class Line:
    """One thing that waits: what it is, more about it, and where it is dealt with."""

    what: str
    link: str
    more: str = ""
    visit: Booking | None = None
    """A visit that can be marked as done beside the line."""
    step: str = ""
    """What is to be done next, and where: shown beside the line."""
    step_link: str = ""


@dataclass(frozen=True)
class Panel:
    """Things of one kind that wait, the most urgent first. `empty` is read where there are none."""

    title: str
    lines: list[Line]
    count: int
    link: str
    empty: str

    @property
    def counted(self) -> str:
        return f"{self.count}" if self.count < MOST_COUNTED else f"{MOST_COUNTED - 1}+"


def late(desk: Desk) -> Panel | None:
    """Visits whose handyman has said that he comes after the window, then those that should be over and are not closed.

    One that began late is not late to end while its handyman is there no longer than the work was planned to take.
    """
    if not desk.sees_visits:
        return None
    ahead = [visit for visit in desk.on(desk.today) if visit.status == Status.CONFIRMED]
    progress = Progress.of(ahead)
    coming = [visit for visit in ahead if visit.ends_at >= desk.now and progress.breaks_promise(visit)]
    overdue = Booking.objects.filter(status=Status.CONFIRMED, ends_at__lt=desk.now).with_jobs()
    behind = crew.visible(overdue, desk.user).order_by("-ends_at")[:MOST_COUNTED]
    unclosed = [visit for visit in behind if not progress.is_at_work(visit, desk.now)]
    lines = [
        Line(
            f"{visit.handyman}: {visit.title}, {visit.customer_name}",
            _change(visit),
            f"there about {_at(progress.expected[visit.pk])}, promised by {_at(visit.arrival_until)}",
        )
        for visit in coming
    ]
    lines += [
        Line(
            f"{visit.handyman}: {visit.title}, {visit.customer_name}",
            _change(visit),
            f"should have been done {timesince(visit.ends_at, desk.now, depth=1)} ago",
            visit if desk.may("change_booking") else None,
        )
        for visit in unclosed[:LISTED]
    ]
    link = f"{reverse('admin:bookings_booking_changelist')}?when=todo"
    return Panel(
        "Late or not closed", lines[:LISTED], len(unclosed) + len(coming), link, "Every visit so far is closed."
    )


def clashing(desk: Desk) -> Panel | None:
    """Visits of the next seven days whose handyman cannot keep the promise."""
    if not desk.sees_visits:
        return None
    found = clashes.of((visit for visit in desk.week if visit.is_open), desk.diary)
    lines = [
        Line(f"{visit.handyman}: {visit.title}, {visit.customer_name}", _change(visit),
             f"{_when(visit.starts_at)}: {clashes.WHY[why]}")
        for visit, why in found[:LISTED]
    ]  # fmt: skip
    link = reverse("admin:bookings_booking_schedule")
    return Panel("Clashes in the next seven days", lines, len(found), link, "Every promise can be kept.")


def unanswered(desk: Desk) -> Panel | None:
    """Messages that wait for an answer, the one that has waited longest first."""
    if not desk.may("view_contactmessage", "change_contactmessage"):
        return None
    shown, count = _first(ContactMessage.objects.unhandled().order_by("created_at"))
    lines = [
        Line(
            f"{message.name}: {message.get_topic_display().lower()}",
            reverse("admin:bookings_contactmessage_change", args=[message.pk]),
            f"waiting for {timesince(message.created_at, desk.now, depth=1)}",
        )
        for message in shown
    ]
    return Panel(
        "Messages to answer",
        lines,
        count,
        reverse("admin:bookings_contactmessage_changelist"),
        "Everybody has an answer.",
    )


def quoted(desk: Desk) -> Panel | None:
    """Quotes that something is still to come of, each with what is next: a time, an answer, a visit."""
    if not desk.may("view_contactmessage", "change_contactmessage"):
        return None
    shown, count = _first(Quote.objects.under_way(desk.now))
    sees_visits = desk.sees_visits and not crew.sees_own_only(desk.user)
    lines = [_of_quote(quote, desk, sees_visits) for quote in shown]
    link = f"{reverse('admin:bookings_contactmessage_changelist')}?folder=quoted"
    return Panel("Quotes under way", lines, count, link, "No quote is under way.")


def _of_quote(quote: Quote, desk: Desk, sees_visits: bool) -> Line:
    asked = quote.message
    page = reverse("admin:bookings_contactmessage_change", args=[asked.pk])
    until, rings = f"{quote.valid_until:%a %d %b}", phone.uri(asked.phone)
    write = ("Write", f"{page}#id_answer") if desk.may("change_contactmessage") else ("Read", page)
    next_ = (f"Ring {asked.phone}", rings) if rings else write
    more = f"waits for an answer until {until}"
    match quote.step:
        case Step.TIME:
            more = f"accepted {timezone.localtime(quote.accepted_at):%a %d %b}, no time yet"
        case Step.REMINDER:
            more = f"runs out on {until}"
        case Step.ANSWER:
            next_ = write
        case Step.VISIT if quote.booking:
            more = f"booked for {timezone.localtime(quote.booking.starts_at):%a %d %b %H:%M}"
            next_ = ("See the visit", _change(quote.booking)) if sees_visits else ("", "")
    return Line(f"{money.text(quote.pence)}: {asked.name}", f"{page}#quote-{quote.pk}", more, None, *next_)


def unpaid(desk: Desk) -> Panel | None:
    """Visits that are kept for a customer until their deposit is paid."""
    if not desk.may("view_payment", "change_payment"):
        return None
    waiting = Payment.objects.filter(status=Payment.Status.OPEN, booking__status=Status.HELD)
    waiting = crew.visible(waiting, desk.user, by="booking__handyman__user")
    shown, count = _first(
        waiting.select_related("booking__service")
        .prefetch_related("booking__lines")
        .order_by("booking__hold_expires_at")
    )
    lines = [
        Line(
            f"{payment.amount}: {payment.booking.title}, {payment.booking.customer_name}",
            _change(payment.booking),
            f"{_when(payment.booking.starts_at)}, {_kept(payment.booking, desk.now)}",
        )
        for payment in shown
    ]
    link = f"{reverse('admin:bookings_payment_changelist')}?status__exact=open"
    return Panel("Deposits not paid yet", lines, count, link, "No deposit is waited for.")


def unapproved(desk: Desk) -> Panel | None:
    """Reviews that customers have written, which nobody reads before staff approve them."""
    if not desk.may("change_review"):
        return None
    shown, count = _first(crew.visible(Review.objects.to_approve(), desk.user, by="booking__handyman__user"))
    lines = [
        Line(f"{review.author}: {review.rating} of 5", reverse("admin:bookings_review_change", args=[review.pk]))
        for review in shown
    ]
    link = f"{reverse('admin:bookings_review_changelist')}?approval=waits"
    return Panel("Reviews to approve", lines, count, link, "Every review is decided.")


def waiting(desk: Desk) -> Panel | None:
    """Customers in line for an earlier time; whoever came first is first."""
    if not desk.may("view_waitlistentry", "change_waitlistentry"):
        return None
    entries = crew.visible(WaitlistEntry.objects.waiting(), desk.user, by="booking__handyman__user")
    shown, count = _first(entries.select_related("service", "booking"))
    lines = [
        Line(
            f"{entry.booking.customer_name if entry.booking else entry.customer_name}: {entry.service}",
            reverse("admin:bookings_waitlistentry_change", args=[entry.pk]),
            f"{entry.days}, {entry.hours.lower()}, until {entry.last_day:%a %d %b}",
        )
        for entry in shown
    ]
    link = f"{reverse('admin:bookings_waitlistentry_changelist')}?state=waiting"
    return Panel("In line for an earlier time", lines, count, link, "Nobody is in line.")


def asked_off(desk: Desk) -> Panel | None:
    """Time off that handymen have asked for, the first to begin first."""
    if not desk.may("view_timeoffrequest", "change_timeoffrequest"):
        return None
    requests = TimeOffRequest.objects.filter(status=TimeOffRequest.Status.WAITING)
    requests = crew.visible(requests, desk.user)
    shown, count = _first(requests.select_related("handyman").order_by("starts_at"))
    lines = [
        Line(
            f"{each.handyman}: from {timezone.localtime(each.starts_at):%a %d %b %H:%M}",
            reverse("admin:bookings_timeoffrequest_change", args=[each.pk]),
            f"until {timezone.localtime(each.ends_at):%a %d %b %H:%M}",
        )
        for each in shown
    ]
    link = reverse("admin:bookings_timeoffrequest_changelist")
    return Panel("Time off asked for", lines, count, link, "Nobody has asked for time off.")


PANELS: tuple[Callable[[Desk], Panel | None], ...] = (
    late,
    clashing,
    unanswered,
    quoted,
    unpaid,
    waiting,
    asked_off,
    unapproved,
)
"""In the order of the page. Each answers None where the user may not see such things."""


def of(desk: Desk) -> list[Panel]:
    """The panels that the desk's user may see."""
    return [panel for make in PANELS if (panel := make(desk)) is not None]


def _first(rows: QuerySet[_Row]) -> tuple[list[_Row], int]:
    """The first few rows, and how many there are up to MOST_COUNTED. Two queries at most."""
    shown = list(rows[: LISTED + 1])
    return shown[:LISTED], rows[:MOST_COUNTED].count() if len(shown) > LISTED else len(shown)


def _change(visit: Booking) -> str:
    return reverse("admin:bookings_booking_change", args=[visit.pk])


def _when(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%a %H:%M}"


def _at(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M}"


def _kept(visit: Booking, now: datetime) -> str:
    until = visit.hold_expires_at
    return f"kept until {timezone.localtime(until):%H:%M}" if until and until > now else "its time has run out"
