"""Bookings whose promise their handyman cannot keep."""

from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.contrib import messages
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join

from bookings import crew
from bookings.models import Booking, BookingLine, Handyman, Holiday, Postcode, Status, TimeOff, WorkingHours
from bookings.slots import calendars, rules
from bookings.slots.route import Visit, unreachable
from bookings.slots.rules import Calendar, Shift
from bookings.slots.travel import Place

# What a warning lists at most; the schedule marks every one of them.
LISTED = 20
DAY = timedelta(days=1)
LEFT, UNSKILLED, TOO_FAR = "left", "unskilled", "too_far"
WHY = {
    "time_off": "time off",
    "holiday": "holiday",
    "hours": "outside working hours",
    LEFT: "no longer works here",
    UNSKILLED: "does not do this job",
    TOO_FAR: "not reached in time from the visit before",
}
"""Why a visit clashes, in words to be read after it."""
_LEADS = {
    "time_off": "there are bookings in that time off.",
    "holiday": "there are bookings on that day.",
    "hours": "{} has visits outside these hours.",
    LEFT: "customers still expect {}.",
    UNSKILLED: "{} has visits for jobs that are no longer ticked.",
    TOO_FAR: "{} does not get from one visit to the next in time.",
}


def expected() -> QuerySet[Booking]:
    """Bookings that somebody is still expected at, in order of time, as `of` wants them."""
    open_ones = Booking.objects.filter(status__in=(Status.HELD, Status.CONFIRMED), ends_at__gt=timezone.now())
    return with_skill(open_ones).order_by("starts_at")


def with_skill(bookings: QuerySet[Booking]) -> QuerySet[Booking]:
    """The same with `skilled` on each, whether the handyman does all its jobs, and `point`, where it is or None."""
    skills = Handyman.skills.through.objects.filter(handyman=OuterRef("handyman"))
    first = Exists(skills.filter(service=OuterRef("service")))
    of_line = Handyman.skills.through.objects.filter(
        handyman=OuterRef("booking__handyman"), service=OuterRef("service")
    )
    undone = BookingLine.objects.filter(~Exists(of_line), booking=OuterRef("pk"))
    done = ExpressionWrapper(first & ~Exists(undone), output_field=BooleanField())
    shown = bookings.select_related("service", "handyman").prefetch_related("lines")
    return shown.annotate(skilled=done, point=Postcode.objects.point(OuterRef("postcode")))


def too_far(visits: Iterable[Booking]) -> frozenset[int]:
    """The keys of those visits that are not reached in time from the handyman's one before. Read them by `with_skill`.

    A later move, another postcode or another handyman can have made the way too long. What staff have agreed with the
    handyman (`overtime`) is not counted.
    """
    travel, found = calendars.travel(), set[int]()
    of_person: dict[int, dict[Visit, Booking]] = defaultdict(dict)
    for booking in visits:
        point = booking.point  # type: ignore[attr-defined] # annotated
        places = (Place(*point),) if point else ()
        visit = Visit(booking.planned_at, booking.during.upper, booking.ends_at, places=places)
        of_person[booking.handyman_id][visit] = booking
    for theirs in of_person.values():
        late = (theirs[visit] for visit in unreachable(theirs, travel))
        found.update(booking.pk for booking in late if not booking.overtime)
    return frozenset(found)


def why(booking: Booking, calendar: Calendar, holidays: frozenset[date], far: Container[int] = ()) -> str:
    """The key of WHY, or nothing when the handyman, whose calendar this is, can keep it.

    Read it by `with_skill`; `far` is what `too_far` says of his visits.
    """
    if not booking.is_open or booking.latest_end < timezone.now():
        return ""
    if not booking.handyman.active:
        return LEFT
    if not booking.skilled:  # type: ignore[attr-defined] # annotated
        return UNSKILLED
    found = rules.clash(
        calendar,
        holidays,
        zone=calendars.current_rules().zone,
        starts_at=booking.starts_at,
        until=booking.arrival_until,
        job=rules.Job(booking.duration),
    )
    agreed = booking.overtime and found in (rules.Clash.HOURS, rules.Clash.HOLIDAY)
    if found and not agreed:
        return found.value
    return TOO_FAR if booking.pk in far else ""


@dataclass(frozen=True)
class Diary:
    """When people work, from yesterday on: a calendar by the key of each handyman, and everybody's holidays."""

    calendars: dict[int, Calendar]
    holidays: frozenset[date]

    @classmethod
    def of(cls, people: Iterable[int]) -> "Diary":
        """Three queries."""
        people = set(people)
        shifts: dict[int, list[Shift]] = defaultdict(list)
        hours = WorkingHours.objects.filter(handyman__in=people)
        for pk, weekday, opens, closes in hours.values_list("handyman_id", "weekday", "start", "end"):
            shifts[pk].append(Shift(weekday, opens, closes))
        off: dict[int, list[rules.Interval]] = defaultdict(list)
        absences = TimeOff.objects.filter(handyman__in=people, ends_at__gt=timezone.now() - DAY)
        for pk, start, end in absences.values_list("handyman_id", "starts_at", "ends_at"):
            off[pk].append((start, end))
        holidays = frozenset(Holiday.objects.values_list("date", flat=True))
        return cls({pk: Calendar(pk, shifts[pk], off[pk]) for pk in people}, holidays)


def of(visits: Iterable[Booking], diary: Diary | None = None) -> list[tuple[Booking, str]]:
    """Those of these visits, read by `with_skill`, that clash, and why. Without a diary three queries."""
    found = list(visits)
    far = too_far(found)
    diary = diary or Diary.of(booking.handyman_id for booking in found)
    judged = ((booking, why(booking, diary.calendars[booking.handyman_id], diary.holidays, far)) for booking in found)
    return [(booking, reason) for booking, reason in judged if reason]


def on_day(day: date) -> QuerySet[Booking]:
    """Everybody's visits to come whose window or job touches a local day."""
    start, end = (timezone.make_aware(datetime.combine(each, time.min)) for each in (day, day + DAY))
    return expected().filter(starts_at__lt=end, ends_at__gt=start - DAY)


def warn(request: HttpRequest, visits: QuerySet[Booking]) -> None:
    """Tell staff which of these visits are left to move or cancel, and why.

    What they saved stands all the same: a handyman who is ill is ill, and no new customer should get that time.
    """
    by_reason: dict[str, list[Booking]] = defaultdict(list)
    for booking, reason in of(crew.visible(visits, request.user)):
        by_reason[reason].append(booking)
    for reason, found in by_reason.items():
        _warn(request, found, _LEADS[reason].format(found[0].handyman.name))


def _warn(request: HttpRequest, found: list[Booking], reason: str) -> None:
    lines = format_html_join(
        "",
        '<li><a href="{}">{}, {}, {}</a> ({}, {}, {})</li>',
        (
            (
                reverse("admin:bookings_booking_change", args=[booking.pk]),
                date_format(timezone.localtime(booking.starts_at), "D j M H:i"),
                booking.title,
                booking.customer_name,
                booking.handyman.name,
                booking.postcode,
                booking.customer_phone,
            )
            for booking in found[:LISTED]
        ),
    )
    more = format_html("<li>and more: see the schedule</li>") if len(found) > LISTED else ""
    messages.warning(
        request,
        format_html("Saved, but {} These bookings must be moved or cancelled: <ul>{}{}</ul>", reason, lines, more),
    )
