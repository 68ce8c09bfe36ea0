"""The week at a glance: a row for each day, a column for each handyman, a block for each visit."""

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from bookings import crew
from bookings.admin import clashes
from bookings.models import Booking, Handyman, Holiday, Status, TimeOff, WorkingHours
from bookings.slots.calendars import midnight
from bookings.slots.rules import Calendar, Shift

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
# Blocks grow with their job by the half hour, up to six hours.
TALLEST = 12


@dataclass(frozen=True)
class Absence:
    """Time off as it falls on one day, such as "from 13:00"."""

    when: str
    reason: str


@dataclass(frozen=True)
class Visit:
    """`clash` says why the visit must be moved or cancelled, if it must."""

    booking: Booking
    clash: str

    @property
    def size(self) -> int:
        """Half hours of work, from 1 to TALLEST."""
        return min(max(round(self.booking.duration / timedelta(minutes=30)), 1), TALLEST)


@dataclass
class Cell:
    """One handyman's day."""

    handyman: Handyman
    hours: list[WorkingHours] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)

    @property
    def works(self) -> bool:
        return bool(self.hours) and not any(absence.when == "all day" for absence in self.absences)


@dataclass
class Row:
    day: date
    today: bool
    past: bool
    holiday: Holiday | None
    cells: list[Cell]


class WeekForm(forms.Form):
    """Which week (any day of it, this one by default), and whose."""

    day = forms.DateField(
        required=False,
        validators=[MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2200, 1, 1))],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    handyman = forms.ModelChoiceField(Handyman.objects.all(), required=False, empty_label="Everybody")


def in_day(absence: TimeOff, day: date) -> Absence:
    start, end = timezone.localtime(absence.starts_at), timezone.localtime(absence.ends_at)
    begins, stops = absence.starts_at > midnight(day), absence.ends_at < midnight(day + DAY)
    if begins and stops:
        when = f"{start:%H:%M}-{end:%H:%M}"
    else:
        when = f"from {start:%H:%M}" if begins else f"until {end:%H:%M}" if stops else "all day"
    return Absence(when, absence.reason or "time off")


def visits_between(start: datetime, end: datetime, now: datetime) -> QuerySet[Booking]:
    """What stands in the schedule: no cancelled bookings and no holds that have run out."""
    standing = (
        Booking.objects.filter(starts_at__gte=start, starts_at__lt=end)
        .exclude(status=Status.CANCELLED)
        .exclude(status=Status.HELD, hold_expires_at__lte=now)
    )
    return clashes.with_skill(standing).order_by("during")


def week_of(monday: date, handyman: Handyman | None, now: datetime, among: QuerySet[Handyman]) -> list[Row]:
    """The seven rows of a week, for `handyman` or for all of `among`. Six queries, however much is in it."""
    start, end = midnight(monday), midnight(monday + WEEK)
    visits = visits_between(start, end, now)
    absences = TimeOff.objects.overlapping(start, end + DAY).order_by("starts_at")
    if handyman:
        visits, absences = visits.filter(handyman=handyman), absences.filter(handyman=handyman)
    holidays = {holiday.date: holiday for holiday in Holiday.objects.filter(date__range=(monday, monday + WEEK))}
    far = clashes.too_far(visits)
    visits_of, absences_of = by_handyman(visits), by_handyman(absences)

    hours = Prefetch("working_hours", WorkingHours.objects.order_by("weekday", "start"))
    shown = Q(pk=handyman.pk) if handyman else Q(active=True) | Q(pk__in=visits_of)
    handymen = list(among.filter(shown).prefetch_related(hours))
    return [
        Row(
            day=day,
            today=day == timezone.localdate(now),
            past=day < timezone.localdate(now),
            holiday=holidays.get(day),
            cells=[
                cell_of(person, day, visits_of[person.pk], absences_of[person.pk], frozenset(holidays), far)
                for person in handymen
            ],
        )
        for day in (monday + DAY * offset for offset in range(7))
    ]


def cell_of(
    handyman: Handyman,
    day: date,
    visits: Iterable[Booking],
    absences: Sequence[TimeOff],
    holidays: frozenset[date],
    far: Container[int],
) -> Cell:
    start, end = midnight(day), midnight(day + DAY)
    hours = list(handyman.working_hours.all())
    calendar = Calendar(
        handyman.pk,
        [Shift(each.weekday, each.start, each.end) for each in hours],
        [(absence.starts_at, absence.ends_at) for absence in absences],
    )
    return Cell(
        handyman=handyman,
        hours=[] if day in holidays else [each for each in hours if each.weekday == day.weekday()],
        absences=[in_day(absence, day) for absence in absences if absence.starts_at < end and absence.ends_at > start],
        visits=[
            Visit(booking, clashes.WHY.get(clashes.why(booking, calendar, holidays, far), ""))
            for booking in visits
            if start <= booking.starts_at < end
        ],
    )


def by_handyman(rows: Iterable[Any]) -> dict[int, list[Any]]:
    """Bookings or time off, in their order, by the id of their handyman."""
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.handyman_id].append(row)
    return found


def schedule(request: HttpRequest, model_admin: admin.ModelAdmin) -> HttpResponse:
    """The page. A day that is none shows this week and says so (400)."""
    now = timezone.now()
    form = WeekForm({"day": timezone.localdate(now), **request.GET.dict()})
    own_only, among = crew.sees_own_only(request.user), Handyman.objects.all()
    if own_only:
        among = among.filter(user=request.user.pk)
        del form.fields["handyman"]
    valid = form.is_valid()
    day = form.cleaned_data.get("day") or timezone.localdate(now)
    monday = day - DAY * day.weekday()
    handyman = among.first() if own_only else form.cleaned_data.get("handyman")
    rows = week_of(monday, handyman, now, among)
    visits = [visit for row in rows for cell in row.cells for visit in cell.visits]
    context = model_admin.admin_site.each_context(request) | {
        "title": "Schedule",
        "opts": model_admin.opts,
        "is_nav_sidebar_enabled": False,
        "form": form,
        "rows": rows,
        "handyman": handyman,
        "own_only": own_only,
        "handymen": [cell.handyman for cell in rows[0].cells],
        "monday": monday,
        "sunday": monday + DAY * 6,
        "previous": monday - WEEK,
        "next": monday + WEEK,
        "visits": len(visits),
        "hours": sum((visit.booking.duration for visit in visits), timedelta()) / timedelta(hours=1),
        "clashes": sum(bool(visit.clash) for visit in visits),
        "can_add": model_admin.has_add_permission(request),
    }
    return TemplateResponse(request, "admin/bookings/booking/schedule.html", context, status=200 if valid else 400)
