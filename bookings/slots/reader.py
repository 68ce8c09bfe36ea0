"""The diary as the database has it: one round trip, however many bookings."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.functional import cached_property

from bookings import process_cache
from bookings.basket import Work
from bookings.kept_query import Asked, Row, together
from bookings.models import Booking, Handyman, Holiday, Postcode
from bookings.slots import queries, rules, why
from bookings.slots.queries import Whose
from bookings.slots.rules import Calendar, Diary, Job, Reason, Rules, Shift, Slot, Visit
from bookings.slots.travel import Place, Places, Travel

_DAY = timedelta(days=1)
_STAFF_HORIZON_DAYS = 366
CHUNK = 14 * _DAY
_LONGEST_WAY = _DAY / 4
"""From a visit before the days that are looked at, or to one after them."""
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
    """The diary of one request: at most two round trips, however many bookings there are and however far one looks.

    Hours and holidays are read once; what is taken for the days first asked for and, if those do not do, to the
    horizon. Only handymen who do all that `service` (or basket, or booking) needs, and only `handyman`, when given.
    `ignoring` is a booking about to be moved. With `overtime` they work around the clock.

    `postcode` is where the job is: ANYWHERE in the area, or a postcode; where that is unknown, the buffer has to do.

    With a `version` of the catalogue, which is for showing alone, hours and holidays are those kept for it, and what is
    taken is asked in the words kept for it: one query. What books gives none, and everything is read.

    The statements of `first` are run before anything is read, in its round trip; `before` holds their rows then.
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
        first: Sequence[Asked] = (),
    ) -> None:
        self.rules, self._now, self._overtime = by_rules or current_rules(), now, overtime
        self._service, self._handyman, self._ignoring = service, handyman, ignoring
        self._postcode, self._version, self._first = postcode, version, first
        self.before: list[list[Row]] = []
        self._read: tuple[date, date, Diary] | None = None

    def diary(self, first: date, last: date) -> Diary:
        """Everybody's time from `first` to the end of a job begun on `last` (local days)."""
        if self._read is not None:
            from_day, to_day, diary = self._read
            if from_day <= first and last <= to_day:
                return diary
            first, last = min(first, from_day), max(last, self.rules.last_day(self._now))
        booked, off = _by_handyman(self._rows(first, last))
        people = self._people
        calendars = [replace(people[pk], time_off=off[pk], booked=booked[pk]) for pk in sorted(people)]
        diary = Diary(calendars, self._holidays)
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

    def find_slot(self, starts_at: datetime) -> Slot | Reason:
        """The slot that starts at this instant, or the reason why there is none; overtime, one too far will do."""
        day = starts_at.astimezone(self.rules.zone).date()
        diary, job = self.diary(day, day), self.job
        found = rules.find_slot(diary, rules=self.rules, job=job, starts_at=starts_at, now=self._now)
        if self._overtime and found is Reason.TRAVEL:
            diary, job = rules.regardless_of_travel(diary, job)
            found = rules.find_slot(diary, rules=self.rules, job=job, starts_at=starts_at, now=self._now)
        is_unknown = self.knows_postcodes and not self.job.places
        return replace(found, of_unknown_place=True) if is_unknown and isinstance(found, Slot) else found

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
        return replace(self._lasts, places=self._crew.places) if self._service is not None else self._lasts

    @property
    def knows_postcodes(self) -> bool:
        """Whether the business has imported any, so that it matters where the job is."""
        return bool(self._people) and self._crew.knows_postcodes

    @property
    def _people(self) -> dict[int, Calendar]:
        return self._crew.people

    @cached_property
    def _lasts(self) -> Job:
        return Job(self._service.duration, self._service.buffer) if self._service is not None else Job(timedelta())

    @cached_property
    def _whose(self) -> Whose:
        return Whose.of(self._service.services if self._service is not None else (), self._handyman)

    @cached_property
    def _crew(self) -> "_Crew":
        if not self._version:
            return _Crew.of(*together(self._ask_crew(self._postcode)))
        crew = process_cache.of_catalogue(
            self._version, ("crew", self._whose), lambda: _Crew.of(*together(self._ask_crew(ANYWHERE)))
        )
        if self._postcode is ANYWHERE or not crew.knows_postcodes:
            return crew
        return replace(crew, places=_places(Postcode.objects.find(self._postcode)))

    @cached_property
    def _holidays(self) -> frozenset[date]:
        """Those as far as the horizon; or, kept, all that there are."""
        return process_cache.of_catalogue(self._version, "holidays", _all_holidays)

    def _ask_crew(self, postcode: str | None) -> Asked:
        """Who does all of it and when he works; where the job is."""
        where = () if postcode is ANYWHERE else (postcode,)
        return queries.crew(self._whose.kind, postcode is ANYWHERE), (*self._whose.values, *where)

    def _ask_holidays(self, first: date, last: date) -> Asked:
        since = min(first, self.rules.today(self._now))
        return queries.holidays(), (since, self.rules.reach(self._lasts, max(last, self.rules.last_day(self._now))))

    def _ask_taken(self, first: date, last: date) -> Asked:
        start = rules.instant(first, time(), self.rules.zone) - _LONGEST_WAY
        end = rules.instant(self.rules.reach(self._lasts, last) + _DAY, time(), self.rules.zone) + _LONGEST_WAY
        left_out = () if self._ignoring is None else (self._ignoring.pk,)
        values = (*self._whose.values, start, end, self._now, *left_out)
        return queries.taken(self._whose.kind, self._ignoring is not None), values

    def _rows(self, first: date, last: date) -> list[Row]:
        """What is booked, and time off. The first time, hours and holidays come with it where none are kept."""
        if self._version or "_holidays" in self.__dict__:
            return together(self._ask_taken(first, last))[0]
        # What is taken comes first: a message of several queries is named by its first one where its time is measured.
        *self.before, taken, crew, days_off = together(
            *self._first,
            self._ask_taken(first, last),
            self._ask_crew(self._postcode),
            self._ask_holidays(first, last),
        )
        self._crew, self._holidays = _Crew.of(crew), frozenset(day for (day,) in days_off)
        return taken


@dataclass(frozen=True, slots=True)
class _Crew:
    """Everybody's week, by id, with nothing in it, and where the job is."""

    people: dict[int, Calendar]
    places: Places
    knows_postcodes: bool

    @classmethod
    def of(cls, rows: list[Row]) -> "_Crew":
        """From what `queries.crew` gives."""
        shifts: dict[int, list[Shift]] = defaultdict(list)
        ends: dict[int, tuple[Places, Places]] = {}
        places: Places = ()
        knows_postcodes = False
        for handyman_id, weekday, opens, closes, leaves, returns, at, knows in rows:
            shifts[handyman_id].append(Shift(weekday, opens, closes))
            ends[handyman_id] = _places(leaves), _places(returns)
            places, knows_postcodes = places or _places(at), knows
        people = {pk: Calendar(pk, shifts[pk], begins=begins, ends=back) for pk, (begins, back) in ends.items()}
        return cls(people, places, knows_postcodes)


def _by_handyman(rows: list[Row]) -> tuple[dict[int, list[Visit]], dict[int, list[rules.Interval]]]:
    """What is booked, and time off, from what `queries.taken` gives."""
    booked: dict[int, list[Visit]] = defaultdict(list)
    off: dict[int, list[rules.Interval]] = defaultdict(list)
    for handyman_id, begins, until, leaves, buffer, at in rows:
        if leaves is None:
            off[handyman_id].append((begins, until))
        else:
            booked[handyman_id].append(Visit(begins, until, leaves, buffer, _places(at)))
    return booked, off


def _all_holidays() -> frozenset[date]:
    return frozenset(Holiday.objects.values_list("date", flat=True))


def _places(found: Sequence[Any] | None) -> Places:
    """From a point, a list of points, or NULL."""
    if not found:
        return ()
    return (Place(*found),) if isinstance(found[0], float) else tuple(Place(*point) for point in found)
