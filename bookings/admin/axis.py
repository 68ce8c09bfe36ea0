"""The schedule on a time axis: everybody's day, or one handyman's week, a column each. Visits can be moved on it.

A place on the axis is four classes (hour and minute of its beginning and of its length), because the pages of the admin
take no inline styles; static/css/axis.css has the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from bookings import crew
from bookings.admin import clashes, journeys
from bookings.admin.compared import shown
from bookings.admin.journeys import Journey
from bookings.admin.office import OfficeAdmin
from bookings.admin.schedule import WeekForm, visits_between
from bookings.crew.ways import places
from bookings.models import Booking, Handyman
from bookings.slots import calendars, rules
from bookings.slots.calendars import midnight
from bookings.slots.travel import Place, Travel

DAY = timedelta(days=1)
FIRST_HOUR, LAST_HOUR = 8, 18
"""What is shown at least."""
_FIVE = 5


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a local day, in minutes from its midnight, to five minutes."""

    start: int
    end: int

    @classmethod
    def of(cls, start: datetime, end: datetime, day: date) -> Span:
        """The part of this time that lies on the day."""
        return cls(*(round(_minutes(each, day) / _FIVE) * _FIVE for each in (start, end)))

    @property
    def place(self) -> str:
        """Its classes."""
        length = max(self.end - self.start, 0)
        return f"h{self.start // 60} m{self.start % 60} dh{length // 60} dm{length % 60}"


@dataclass(frozen=True)
class Leg:
    """A journey, and where it stands on the axis."""

    journey: Journey
    span: Span

    @classmethod
    def of(cls, journey: Journey | None, day: date) -> Leg | None:
        return cls(journey, Span.of(journey.starts_at, journey.ends_at, day)) if journey else None


@dataclass(frozen=True)
class Block:
    """A visit: the way to it, its planned work, the window that was promised, and the time kept free after it."""

    booking: Booking
    clash: str
    work: Span
    window: Span
    way: Span
    version: str
    leg: Leg | None

    @classmethod
    def of(cls, booking: Booking, clash: str, day: date, journey: Journey | None) -> Block:
        return cls(
            booking=booking,
            clash=clash,
            work=Span.of(booking.planned_at, booking.ends_at, day),
            window=Span.of(booking.starts_at, booking.arrival_until, day),
            way=Span.of(booking.ends_at, booking.during.upper, day),
            version=shown(booking),
            leg=Leg.of(journey, day),
        )


@dataclass
class Column:
    """One handyman's day. `home` is the way from the last visit to where the day ends."""

    handyman: Handyman
    day: date
    is_holiday: bool
    shifts: list[Span] = field(default_factory=list)
    absences: list[Span] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    home: Leg | None = None

    def spans(self) -> Iterator[Span]:
        yield from self.shifts
        for block in self.blocks:
            yield from (block.work, block.window)
        legs = (self.home, *(block.leg for block in self.blocks))
        yield from (leg.span for leg in legs if leg)


@dataclass(frozen=True)
class Axis:
    """The columns, and the hours that they show."""

    columns: list[Column]
    first: int
    last: int

    @classmethod
    def of(cls, columns: list[Column]) -> Axis:
        spans = [span for column in columns for span in column.spans() if span.end > span.start]
        first = min([FIRST_HOUR, *(span.start // 60 for span in spans)])
        last = max([LAST_HOUR, *(-(-span.end // 60) for span in spans)])
        return cls(columns, first, last)

    @property
    def hours(self) -> range:
        return range(self.first, self.last)

    @property
    def length(self) -> int:
        return self.last - self.first


def axis(request: HttpRequest, of: OfficeAdmin) -> HttpResponse:
    """`?day=` for everybody's day, and with `?handyman=` his week. A day that is none shows today and says so (400)."""
    now = timezone.now()
    form = WeekForm({"day": timezone.localdate(now), **request.GET.dict()})
    people = crew.visible(Handyman.objects.all(), request.user, by="user")
    own_only = crew.sees_own_only(request.user)
    if own_only:
        del form.fields["handyman"]
    valid = form.is_valid()
    day = form.cleaned_data.get("day") or timezone.localdate(now)
    handyman = people.first() if own_only else form.cleaned_data.get("handyman")
    first, days = (day - DAY * day.weekday(), 7) if handyman else (day, 1)
    shown_days = [first + DAY * n for n in range(days)]
    context = of.admin_site.each_context(request) | {
        "title": "Schedule",
        "opts": of.opts,
        "is_nav_sidebar_enabled": False,
        "form": form,
        "own_only": own_only,
        "handyman": handyman,
        "day": day,
        "first": first,
        "today": timezone.localdate(now),
        "previous": first - DAY * days,
        "next": first + DAY * days,
        "axis": Axis.of(columns([handyman] if handyman else people, shown_days, now)),
        "step": int(calendars.current_rules().step.total_seconds() // 60),
        "can_move": of.has_change_permission(request),
    }
    return TemplateResponse(request, "admin/bookings/booking/axis.html", context, status=200 if valid else 400)


def columns(people: Iterable[Handyman], days: list[date], now: datetime) -> list[Column]:
    """A column for each handyman and day; who has left only where a visit is still his. Seven queries."""
    start, end = midnight(days[0]), midnight(days[-1] + DAY)
    everybody = list(people)
    of_place: dict[tuple[int, date], list[Booking]] = defaultdict(list)
    visits = visits_between(start, end, now).filter(handyman__in=everybody)
    far = clashes.too_far(visits)
    for visit in visits:
        of_place[visit.handyman_id, timezone.localdate(visit.starts_at)].append(visit)
    diary = clashes.Diary.of(person.pk for person in everybody)
    busy = {pk for pk, _day in of_place}
    known, travel = places(journeys.ends_of(everybody)), calendars.travel()
    return [
        _column(person, day, of_place[person.pk, day], diary, far, known, travel)
        for day in days
        for person in everybody
        if person.active or person.pk in busy
    ]


def _column(
    person: Handyman,
    day: date,
    visits: list[Booking],
    diary: clashes.Diary,
    far: Container[int],
    known: Mapping[str, Place],
    travel: Travel,
) -> Column:
    calendar, is_holiday = diary.calendars[person.pk], day in diary.holidays
    begins, ends = midnight(day), midnight(day + DAY)
    shifts = [] if is_holiday else [shift for shift in calendar.shifts if shift.weekday == day.weekday()]
    spans = [Span(_clock(shift.start), _clock(shift.end) or 24 * 60) for shift in shifts]
    opens = min((_instant(day, span.start) for span in spans), default=None)
    closes = max((_instant(day, span.end) for span in spans), default=None)
    ways = journeys.Day(person, opens, closes, known, travel)
    to_visits = ways.to_visits(visits)
    return Column(
        handyman=person,
        day=day,
        is_holiday=is_holiday,
        shifts=spans,
        absences=[Span.of(start, end, day) for start, end in calendar.time_off if start < ends and end > begins],
        blocks=[
            Block.of(
                visit,
                clashes.WHY.get(clashes.why(visit, calendar, diary.holidays, far), ""),
                day,
                to_visits.get(visit.pk),
            )
            for visit in visits
        ],
        home=Leg.of(ways.home(visits), day),
    )


def _instant(day: date, minutes: int) -> datetime:
    """So many minutes after midnight by the local clock, up to the next one."""
    if minutes >= 24 * 60:
        return midnight(day + DAY)
    return rules.instant(day, time(*divmod(minutes, 60)), calendars.current_rules().zone)


def _clock(at: time) -> int:
    return at.hour * 60 + at.minute


def _minutes(moment: datetime, day: date) -> int:
    """By the local clock, from the day's midnight; never outside of the day."""
    local = timezone.localtime(moment)
    if local.date() != day:
        return 0 if local.date() < day else 24 * 60
    return _clock(local.time())


def axis_start(day: date, hour: int) -> datetime:
    """The instant at which the axis of a day begins."""
    return rules.instant(day, time(hour), calendars.current_rules().zone)
