"""The diary as the database has it: at most three queries, however many bookings."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db.models import DateTimeField, DurationField, Exists, F, FloatField, OuterRef, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils.functional import cached_property

from bookings import process_cache
from bookings.basket import Work
from bookings.models import Booking, Handyman, Holiday, Postcode, Service, TimeOff, WorkingHours
from bookings.slots import rules, why
from bookings.slots.kept_query import KeptQuery
from bookings.slots.rules import Calendar, Diary, Job, Rules, Shift, Slot, Visit
from bookings.slots.travel import Place, Places, Travel

_DAY = timedelta(days=1)
_STAFF_HORIZON_DAYS = 366
CHUNK = 14 * _DAY
_LONGEST_WAY = _DAY / 4
"""From a visit before the days that are looked at, or to one after them."""
_NOTHING = (Value(None, DateTimeField()), Value(None, DurationField()), Value(None, ArrayField(FloatField())))
"""What of a visit there is not of time off."""
ANYWHERE = None
"""The postcode of a job of which it is only known that it is in the area."""


def current_rules() -> Rules:
    """The rules of booking online, from the settings."""
    zone = ZoneInfo(settings.BUSINESS_TIME_ZONE)
    return Rules(
        zone=zone,
        step=timedelta(minutes=settings.BOOKING_STEP_MINUTES),
        window=timedelta(minutes=settings.ARRIVAL_WINDOW_MINUTES),
        notice=timedelta(hours=settings.BOOKING_NOTICE_HOURS),
        horizon_days=settings.BOOKING_HORIZON_DAYS,
        travel=travel(),
    )


def travel() -> Travel:
    """How the crew gets about, from the settings."""
    return Travel(
        ZoneInfo(settings.BUSINESS_TIME_ZONE),
        speeds=settings.TRAVEL_SPEEDS,
        detour_percent=settings.TRAVEL_DETOUR_PERCENT,
        parking=timedelta(minutes=settings.TRAVEL_PARKING_MINUTES),
        nearby=settings.TRAVEL_NEARBY_METRES,
    )


def staff_rules() -> Rules:
    """The rules of booking by staff: without notice, and further ahead."""
    return replace(current_rules(), notice=timedelta(), horizon_days=_STAFF_HORIZON_DAYS)


class Reader:
    """The diary of one request: at most four queries, however many bookings there are and however far one looks.

    Hours and holidays are read once; what is taken for the days first asked for and, if those do not do, to the
    horizon. Only handymen who do all that `service` (or basket, or booking) needs, and only `handyman`, when given.
    `ignoring` is a booking about to be moved. With `overtime` they work around the clock.

    `postcode` is where the job is: ANYWHERE in the area, or a postcode; where that is unknown, the buffer has to do.

    With a `version` of the catalogue, which is for showing alone, hours and holidays are those kept for it, and what is
    taken is asked in the words kept for it: one query. What books gives none, and everything is read.
    """

    def __init__(
        self,
        *,
        now: datetime,
        service: Work | None = None,
        handyman: Handyman | None = None,
        ignoring: Booking | None = None,
        by_rules: Rules | None = None,
        overtime: bool = False,
        postcode: str | None = ANYWHERE,
        version: str = "",
    ) -> None:
        self.rules, self._now, self._overtime = by_rules or current_rules(), now, overtime
        self._service, self._handyman, self._ignoring = service, handyman, ignoring
        self._postcode, self._version = postcode, version
        self._read: tuple[date, date, Diary] | None = None

    def diary(self, first: date, last: date) -> Diary:
        """Everybody's time from `first` to the end of a job begun on `last` (local days)."""
        if self._read is not None:
            from_day, to_day, diary = self._read
            if from_day <= first and last <= to_day:
                return diary
            first, last = min(first, from_day), max(last, self.rules.last_day(self._now))
        start = rules.instant(first, time(), self.rules.zone)
        end = rules.instant(self.rules.reach(self.job, last) + _DAY, time(), self.rules.zone)
        booked, off = self._taken(start - _LONGEST_WAY, end + _LONGEST_WAY)
        people = self._people
        calendars = [replace(people[pk], time_off=off[pk], booked=booked[pk]) for pk in sorted(people)]
        diary = Diary(calendars, self._holidays(first, last))
        self._read = (first, last, why.without_hours(diary) if self._overtime else diary)
        return self._read[2]

    def slots(self, first: date, last: date) -> list[Slot]:
        """The service's slots from `first` to `last` (local days, inclusive), in order.

        Without the one where the booking about to be moved stands: that would be no move.
        """
        first, last = max(first, self.rules.today(self._now)), min(last, self.rules.last_day(self._now))
        if last < first:
            return []
        found = rules.free_slots(
            self.diary(first, last), rules=self.rules, job=self.job, first=first, last=last, now=self._now
        )
        where_it_is = self._ignoring.starts_at if self._ignoring is not None else None
        return [slot for slot in found if slot.starts_at != where_it_is]

    def next_slots(self, after: date | None = None, limit: int = 1) -> list[Slot]:
        """The first free slots from a local day on, never beyond the horizon."""
        today = self.rules.today(self._now)
        first, found = max(after or today, today), list[Slot]()
        while len(found) < limit and first <= self.rules.last_day(self._now):
            found += self.slots(first, first + CHUNK - _DAY)
            first += CHUNK
        return found[:limit]

    def answers(self, starts_at: datetime) -> list[why.Answer]:
        """What each of these handymen has against the window that opens at this instant."""
        day = starts_at.astimezone(self.rules.zone).date()
        diary = self.diary(day, day)
        return why.ask(diary, by=self.rules, job=self.job, starts_at=starts_at, now=self._now)

    def is_possible(self) -> bool:
        """Whether anybody does the service and works long enough for it, whatever is booked. One query, if any."""
        weeks = [Calendar(pk, person.shifts) for pk, person in self._people.items()]
        job = replace(self.job, places=())
        return rules.is_ever_possible(weeks, rules=self.rules, job=job, now=self._now)

    @cached_property
    def job(self) -> Job:
        """How long the job takes, and where it is as far as that is known."""
        if self._service is None:
            return Job(timedelta())
        return Job(self._service.duration, self._service.buffer, self._crew.places)

    @property
    def knows_postcodes(self) -> bool:
        """Whether the business has imported any, so that it matters where the job is."""
        return bool(self._people) and self._crew.knows_postcodes

    @property
    def _people(self) -> dict[int, Calendar]:
        return self._crew.people

    @cached_property
    def _crew(self) -> "_Crew":
        services = self._service.services if self._service is not None else ()
        if not self._version:
            return _crew(services, self._handyman, self._postcode)
        able, who = tuple(each.pk for each in services), self._handyman and self._handyman.pk
        crew = process_cache.of_catalogue(
            self._version, ("crew", able, who), lambda: _crew(services, self._handyman, ANYWHERE)
        )
        if self._postcode is ANYWHERE or not crew.knows_postcodes:
            return crew
        return replace(crew, places=_places(Postcode.objects.find(self._postcode)))

    def _holidays(self, first: date, last: date) -> frozenset[date]:
        """Of these days; read as far as the horizon the first time. Kept are all that there are."""
        if self._version:
            return process_cache.of_catalogue(self._version, "holidays", _all_holidays)
        since = min(first, self.rules.today(self._now))
        until = self.rules.reach(self.job, max(last, self.rules.last_day(self._now)))
        if not hasattr(self, "_days_off"):
            found = Holiday.objects.filter(date__range=(since, until)).values_list("date", flat=True)
            self._days_off = frozenset(found)
        return self._days_off

    def _taken(self, start: datetime, end: datetime) -> tuple[dict[int, list[Visit]], dict[int, list[rules.Interval]]]:
        """Between two instants, by handyman: what is booked, and time off. One query for both."""
        booked: dict[int, list[Visit]] = defaultdict(list)
        off: dict[int, list[rules.Interval]] = defaultdict(list)
        for handyman_id, begins, until, leaves, buffer, at in self._rows(start, end):
            if leaves is None:
                off[handyman_id].append((begins, until))
            else:
                booked[handyman_id].append(Visit(begins, until, leaves, buffer, _places(at)))
        return booked, off

    def _rows(self, start: datetime, end: datetime) -> Iterable[Any]:
        def query(start: datetime, end: datetime, now: datetime) -> QuerySet[Any, Any]:
            return _taken(list(self._people), self._handyman, self._ignoring, start, end, now)

        if not self._version or self._ignoring is not None or not self._people:
            return query(start, end, self._now)
        who = self._handyman and self._handyman.pk
        asked = process_cache.of_catalogue(self._version, ("taken", *self._people, who), lambda: KeptQuery(query))
        return asked.rows(start, end, self._now)


@dataclass(frozen=True, slots=True)
class _Crew:
    """Everybody's week, by id, with nothing in it, and where the job is."""

    people: dict[int, Calendar]
    places: Places
    knows_postcodes: bool


def _crew(services: Sequence[Service], handyman: Handyman | None, postcode: str | None) -> _Crew:
    """Who does all of it and when he works; where the job is. One query for all that."""
    hours = WorkingHours.objects.filter(handyman__active=True)
    for each in services:
        hours = hours.filter(handyman__skills=each)
    if handyman is not None:
        hours = hours.filter(handyman=handyman)
    wanted = Postcode.objects.corners() if postcode is ANYWHERE else Postcode.objects.point(postcode)
    shifts: dict[int, list[Shift]] = defaultdict(list)
    ends: dict[int, tuple[Places, Places]] = {}
    places: Places = ()
    knows_postcodes = False
    for handyman_id, weekday, opens, closes, leaves, returns, at, knows in hours.values_list(
        "handyman_id",
        "weekday",
        "start",
        "end",
        Postcode.objects.point(OuterRef("handyman__start_postcode")),
        Postcode.objects.point(OuterRef("handyman__end_postcode")),
        wanted,
        Exists(Postcode.objects.filter(is_corner=True)),
    ):
        shifts[handyman_id].append(Shift(weekday, opens, closes))
        ends[handyman_id] = _places(leaves), _places(returns)
        places, knows_postcodes = places or _places(at), knows
    people = {pk: Calendar(pk, shifts[pk], begins=begins, ends=back) for pk, (begins, back) in ends.items()}
    return _Crew(people, places, knows_postcodes)


def _all_holidays() -> frozenset[date]:
    return frozenset(Holiday.objects.values_list("date", flat=True))


def _taken(
    handymen: list[int],
    handyman: Handyman | None,
    ignoring: Booking | None,
    start: datetime,
    end: datetime,
    now: datetime,
) -> QuerySet[Any, Any]:
    bookings = Booking.objects.occupying(now).overlapping(start, end)
    bookings = bookings.of(handyman) if handyman else bookings.filter(handyman__in=handymen)
    if ignoring is not None:
        bookings = bookings.exclude(pk=ignoring.pk)
    absences = TimeOff.objects.overlapping(start, end).filter(handyman__in=handymen)
    reserve = Coalesce("reserve", F("during__endswith") - F("ends_at"), output_field=DurationField())
    point = Postcode.objects.point(OuterRef("postcode"))
    visits = bookings.values_list("handyman_id", "during__startswith", "during__endswith", "ends_at", reserve, point)
    away = absences.values_list("handyman_id", "starts_at", "ends_at", *_NOTHING)
    return visits.order_by().union(away.order_by(), all=True)


def _places(found: Sequence[Any] | None) -> Places:
    """From a point, a list of points, or NULL."""
    if not found:
        return ()
    return (Place(*found),) if isinstance(found[0], float) else tuple(Place(*point) for point in found)
