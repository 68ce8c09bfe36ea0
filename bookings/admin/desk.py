"""The admin's first page: today. Who is where, and what waits for the office, as a list of panels."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.timesince import timesince

from bookings import crew
from bookings.admin import clashes
from bookings.admin.progress import Progress
from bookings.admin.schedule import in_day, visits_between
from bookings.models import (
    Booking,
    ContactMessage,
    Handyman,
    Payment,
    Review,
    Status,
    TimeOff,
    TimeOffRequest,
    WaitlistEntry,
)
from bookings.slots import calendars, rules

LISTED = 6
"""Lines that a panel shows; its heading has a link to all of them."""
MOST_COUNTED = 100
"""Beyond this a panel counts no further: the number would say nothing more, and cost a look at every row."""
AHEAD = timedelta(days=7)
DAY = timedelta(days=1)
_Row = TypeVar("_Row", bound=Model)


@dataclass(frozen=True)
class Line:
    """One thing that waits: what it is, more about it, and where it is dealt with."""

    what: str
    link: str
    more: str = ""
    visit: Booking | None = None
    """A visit that can be marked as done beside the line."""


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


@dataclass(frozen=True)
class Whereabouts:
    """What one handyman is doing: at a visit now, or why at none, and what is next today."""

    handyman: Handyman
    now: Booking | None
    next: Booking | None
    left: int
    """Visits still to make today."""
    absence: str
    """Why he is not at work now; empty where he is."""


@dataclass
class Desk:
    """What the first page shows to `user` at `now`. Each of its parts is read once, and only when asked for."""

    user: User | AnonymousUser
    now: datetime = field(default_factory=timezone.now)

    @property
    def sees_visits(self) -> bool:
        return self.may("view_booking", "change_booking", "view_own_booking")

    def may(self, *permissions: str) -> bool:
        return any(self.user.has_perm(f"bookings.{each}") for each in permissions)

    @property
    def today(self) -> date:
        return timezone.localdate(self.now)

    @cached_property
    def week(self) -> list[Booking]:
        """What stands in the schedule from today's midnight for seven days, in order of the planned arrival."""
        start, end = calendars.midnight(self.today), calendars.midnight(self.today + AHEAD)
        visits = visits_between(start, end, self.now)
        return list(crew.visible(visits, self.user))

    def on(self, day: date) -> list[Booking]:
        """The visits of a local day of this week."""
        return [visit for visit in self.week if timezone.localdate(visit.starts_at) == day]

    @property
    def to_make(self) -> int:
        """Visits of today that are still open."""
        return sum(visit.is_open for visit in self.on(self.today))

    @property
    def tomorrow(self) -> int:
        """Visits of tomorrow."""
        return sum(visit.is_open for visit in self.on(self.today + DAY))

    @cached_property
    def handymen(self) -> list[Handyman]:
        return list(crew.visible(Handyman.objects.active(), self.user, by="user"))

    @cached_property
    def diary(self) -> clashes.Diary:
        people = {visit.handyman_id for visit in self.week} | {person.pk for person in self.handymen}
        return clashes.Diary.of(people)

    @cached_property
    def whereabouts(self) -> list[Whereabouts]:
        """Everybody who works here: those at a visit first, then those with one ahead, then the others."""
        of_person: dict[int, list[Booking]] = defaultdict(list)
        for visit in self.on(self.today):
            of_person[visit.handyman_id].append(visit)
        found = [self._of(person, of_person[person.pk]) for person in self.handymen]
        return sorted(found, key=lambda each: (each.now is None, each.next is None, bool(each.absence)))

    def _of(self, person: Handyman, visits: Iterable[Booking]) -> Whereabouts:
        ahead = [visit for visit in visits if visit.is_open and visit.ends_at > self.now]
        at = next((visit for visit in ahead if visit.planned_at <= self.now), None)
        following = [visit for visit in ahead if visit.planned_at > self.now]
        absence = "" if at else self._absence(person)
        return Whereabouts(person, at, following[0] if following else None, len(ahead), absence)

    def _absence(self, person: Handyman) -> str:
        day, calendar = self.today, self.diary.calendars[person.pk]
        for start, end in calendar.time_off:
            if start <= self.now < end:
                return f"Off {in_day(TimeOff(starts_at=start, ends_at=end), day).when}"
        if day in self.diary.holidays:
            return "Holiday"
        zone = calendars.current_rules().zone
        shifts = [shift for shift in calendar.shifts if shift.weekday == day.weekday()]
        if not rules.working_time(calendar, self.diary.holidays, zone, day, day):
            return "Not working today"
        moment = timezone.localtime(self.now).time()
        if any(shift.start <= moment and (moment < shift.end or not shift.end) for shift in shifts):
            return ""
        later = sorted(shift.start for shift in shifts if shift.start > moment)
        return f"Begins at {later[0]:%H:%M}" if later else "Finished for today"

    @cached_property
    def impossible(self) -> int:
        """Services that nobody can be sent for, where the user may see services."""
        return len(calendars.impossible()) if self.may("view_service", "change_service") else 0

    @property
    def panels(self) -> list[Panel]:
        return [panel for make in PANELS if (panel := make(self)) is not None]


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
    unpaid,
    waiting,
    asked_off,
    unapproved,
)
"""In the order of the page. Each answers None where the user may not see such things."""


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
