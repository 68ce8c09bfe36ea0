"""When somebody is free: hours less holidays, time off and bookings give slots. Pure: no database, web or clock.

Working hours and slots follow the wall clock of the business; everything returned is in UTC. A wall-clock time
that does not exist (clocks go forward) is never offered; one that comes twice (clocks go back) is offered once,
the first time. The same `free_slots` lists the slots and judges the one that was posted.

An arrival window is a promise: the handyman is at work when it opens and when it closes, with time for the job from
either, and has no time off in between. His arrival is planned within it, as early as his other visits allow, so that
several visits follow each other in windows that overlap. `Rules.leeway` of every window stays in hand: if all visits
of a day run late by that much, each of them still begins in its window.

Between two visits whose places are known lies the way from door to door; the buffer, where one of them is not.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from bookings.slots.route import Route, blocked_interval
from bookings.slots.route import Visit as Visit
from bookings.slots.spans import Interval as Interval
from bookings.slots.spans import Spans, joined, minus
from bookings.slots.travel import Places, Travel

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_Taker = tuple[int, datetime, int | None, bool]


@dataclass(frozen=True, slots=True)
class Rules:
    """How the business takes bookings. Windows open every `step` of the wall clock, counted from midnight.

    An arrival is planned so that `leeway`, or the whole of a shorter window, is left until the window closes.
    """

    zone: ZoneInfo
    step: timedelta = timedelta(hours=1)
    window: timedelta = timedelta(hours=1)
    leeway: timedelta = timedelta(hours=1)
    notice: timedelta = timedelta(hours=4)
    horizon_days: int = 60
    travel: Travel | None = None
    """How the crew gets about. With None all places count as unknown."""

    def today(self, now: datetime) -> date:
        return now.astimezone(self.zone).date()

    def last_day(self, now: datetime) -> date:
        """The last local day that can be booked."""
        return self.today(now) + self.horizon_days * _DAY

    def reach(self, job: "Job", last: date) -> date:
        """The local day by whose end a job is done and cleared up that begins as late as a window of `last` allows."""
        return last + (self.window + job.duration + job.buffer) // _DAY * _DAY + _DAY


@dataclass(frozen=True, slots=True)
class Job:
    """How long a visit takes: the work, and the `buffer` after it that is kept free for a way of unknown length.

    `places` is where it is; the corners of an area while that alone is known.
    """

    duration: timedelta
    buffer: timedelta = timedelta()
    places: Places = ()


@dataclass(frozen=True, slots=True)
class Shift:
    """A stretch of work on a weekday (0 is Monday), local time. An end of 00:00 is midnight after it."""

    weekday: int
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Calendar:
    """One handyman's time. Intervals are half-open, in UTC, in any order; a booked one includes its buffer.

    Each day he leaves from `begins` when his work starts, and is at `ends` when it is over, where these are known.
    """

    handyman_id: int
    shifts: Sequence[Shift]
    time_off: Sequence[Interval] = ()
    booked: Sequence[Visit | Interval] = ()
    begins: Places = ()
    ends: Places = ()


@dataclass(frozen=True, slots=True)
class Diary:
    """Everybody's calendars and the days on which nobody works."""

    calendars: Sequence[Calendar]
    holidays: frozenset[date] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Slot:
    """An arrival window (UTC), who could take it (ascending), and when each of them would be planned to arrive.

    `extra` is how many metres each would drive more that day, None where that is not known; empty where none is.
    """

    starts_at: datetime
    arrival_until: datetime
    handyman_ids: tuple[int, ...]
    planned: tuple[datetime, ...]
    extra: tuple[int | None, ...] = ()
    is_nearby: bool = False
    """It lies on the way of one of them, by coarse places."""
    buffer: timedelta = timedelta()
    """What is kept free after the job, because the way to the next is not known."""
    of_unknown_place: bool = False
    """The job's postcode should be among those imported, and is not."""


class Reason(StrEnum):
    """Why a slot cannot be had."""

    PAST = "past"
    NOTICE = "notice"
    HORIZON = "horizon"
    OFF_GRID = "off_grid"
    CLOSED = "closed"
    TAKEN = "taken"
    TRAVEL = "travel"
    """Somebody has the time, and cannot be there by then."""


class Clash(StrEnum):
    """Why the promise of a visit that is booked cannot be kept."""

    TIME_OFF = "time_off"
    HOLIDAY = "holiday"
    HOURS = "hours"


def free_slots(diary: Diary, *, rules: Rules, job: Job, first: date, last: date, now: datetime) -> list[Slot]:
    """Every slot from `first` to `last` (local days, inclusive) that somebody can promise for this job, in order.

    The diary must reach to `rules.reach(job, last)`.
    """
    last = min(last, rules.last_day(now))
    grid = [t for t in _grid(rules, max(first, rules.today(now)), last) if t >= now + rules.notice]
    if not grid:
        return []
    takers: dict[datetime, list[_Taker]] = {}
    for calendar in sorted(diary.calendars, key=lambda each: each.handyman_id):
        # From the day before, because a night's work that goes on is no morning.
        time_of = _Time.of(calendar, diary.holidays, rules, job, first - _DAY, rules.reach(job, last))
        for start, end in time_of.hours.spans:
            for at in grid[bisect_left(grid, start) : bisect_right(grid, end - job.duration)]:
                planned = time_of.plan(at, rules, job)
                if planned is not None:
                    takers.setdefault(at, []).append((calendar.handyman_id, planned, *time_of.added(planned, job)))
    return [_slot(at, rules, job, found) for at, found in sorted(takers.items())]


def _slot(at: datetime, rules: Rules, job: Job, found: list[_Taker]) -> Slot:
    handyman_ids, planned, extra, nearby = zip(*found, strict=True)
    known = any(each is not None for each in extra)
    kept = timedelta() if rules.travel and len(job.places) == 1 else job.buffer
    return Slot(at, at + rules.window, handyman_ids, planned, extra if known else (), any(nearby), kept)


def is_ever_possible(calendars: Iterable[Calendar], *, rules: Rules, job: Job, now: datetime) -> bool:
    """Whether anybody's weekly hours have room for this job, were nothing booked and nobody away."""
    empty = Diary([Calendar(each.handyman_id, each.shifts) for each in calendars])
    any_day = replace(rules, notice=timedelta(), horizon_days=7)
    tomorrow = rules.today(now) + _DAY
    return bool(free_slots(empty, rules=any_day, job=job, first=tomorrow, last=tomorrow + 6 * _DAY, now=now))


def find_slot(diary: Diary, *, rules: Rules, job: Job, starts_at: datetime, now: datetime) -> Slot | Reason:
    """The free slot that starts at this instant, or the reason why there is none."""
    day = starts_at.astimezone(rules.zone).date()
    for slot in free_slots(diary, rules=rules, job=job, first=day, last=day, now=now):
        if slot.starts_at == starts_at:
            return slot
    if starts_at < now:
        return Reason.PAST
    if day > rules.last_day(now):
        return Reason.HORIZON
    if starts_at not in _grid(rules, day, day):
        return Reason.OFF_GRID
    if starts_at < now + rules.notice:
        return Reason.NOTICE
    if job.places and rules.travel:
        diary, job = regardless_of_travel(diary, job)
        in_time = free_slots(diary, rules=rules, job=job, first=day, last=day, now=now)
        if any(slot.starts_at == starts_at for slot in in_time):
            return Reason.TRAVEL
    unbooked = Diary([Calendar(c.handyman_id, c.shifts, c.time_off) for c in diary.calendars], diary.holidays)
    open_slots = free_slots(unbooked, rules=rules, job=job, first=day, last=day, now=now)
    return Reason.TAKEN if any(slot.starts_at == starts_at for slot in open_slots) else Reason.CLOSED


def regardless_of_travel(diary: Diary, job: Job) -> tuple[Diary, Job]:
    """The same as if all visits were next door to each other."""
    next_door = [
        replace(each, booked=[visit[:2] for visit in each.booked], begins=(), ends=()) for each in diary.calendars
    ]
    return Diary(next_door, diary.holidays), Job(job.duration)


def clash(
    calendar: Calendar, holidays: frozenset[date], *, zone: ZoneInfo, starts_at: datetime, until: datetime, job: Job
) -> Clash | None:
    """Why the handyman cannot keep the promise of a window from `starts_at` to `until`, whatever else is booked."""
    first, last = starts_at.astimezone(zone).date(), (until + job.duration).astimezone(zone).date()
    time_of = _Time.of(calendar, holidays, Rules(zone), job, first - _DAY, last)
    if time_of.can_promise(starts_at, until, job):
        return None
    if time_of.off.touch(starts_at, until + job.duration):
        return Clash.TIME_OFF
    return Clash.HOLIDAY if holidays.intersection(_days(first, last)) else Clash.HOURS


def gets_there(calendar: Calendar, holidays: frozenset[date], *, rules: Rules, job: Job, at: datetime) -> bool:
    """Whether the handyman gets to a job at `at` from the visit before it, and from it to the one after, in time.

    And from where his day begins, and back; a visit outside of his hours, which staff have arranged, is not judged by
    that. `calendar` is without the visit in question.
    """
    day, ends = at.astimezone(rules.zone).date(), at + job.duration
    time_of = _Time.of(calendar, holidays, rules, job, day - _DAY, rules.reach(job, day))
    if time_of.taken.touch(at, ends):
        return False
    return not job.places or not time_of.work.hold(at, ends) or time_of.room.hold(at, ends)


def working_time(calendar: Calendar, holidays: frozenset[date], zone: ZoneInfo, first: date, last: date) -> timedelta:
    """How long a handyman is at work from `first` to `last` (local days, inclusive): hours less time off."""
    unbooked = Calendar(calendar.handyman_id, calendar.shifts, calendar.time_off)
    work = _Time.of(unbooked, holidays, Rules(zone), Job(timedelta()), first, last).work.spans
    return sum((end - start for start, end in work), timedelta())


@dataclass(frozen=True, slots=True)
class _Time:
    """One handyman's time as it is for one job: `hours` by his shifts, `work` less time off, `free` for the job.

    `room` is work less the ways from and to where the day begins and ends, `taken` the visits with the ways between
    them and the job. The job may lie anywhere in `room` that is not `taken`, which is `free`.
    """

    hours: Spans
    off: Spans
    work: Spans
    room: Spans
    taken: Spans
    free: Spans
    route: Route | None

    @classmethod
    def of(
        cls, calendar: Calendar, holidays: frozenset[date], rules: Rules, job: Job, first: date, last: date
    ) -> "_Time":
        shifts = (
            (instant(day, shift.start, rules.zone), _shift_end(day, shift, rules.zone))
            for day in _days(first, last)
            if day not in holidays
            for shift in calendar.shifts
            if shift.weekday == day.weekday()
        )
        hours, off = joined(shifts), joined(calendar.time_off)
        work = minus(hours, off)
        visits = [Visit(*each) for each in calendar.booked]
        route = None
        room = [(start, end - job.buffer) for start, end in work]
        if rules.travel and job.places:
            route = Route(calendar.begins, calendar.ends, visits, work, rules.travel)
            room = list(route.within(job.places, job.buffer))
        taken = joined(blocked_interval(visit, job.places, job.buffer, rules.travel) for visit in visits)
        return cls(Spans(hours), Spans(off), Spans(work), Spans(room), Spans(taken), Spans(minus(room, taken)), route)

    def plan(self, at: datetime, rules: Rules, job: Job) -> datetime | None:
        """The earliest arrival that keeps the promise of a window that opens then; None where there is none."""
        until = at + rules.window
        if not self.can_promise(at, until, job):
            return None
        leeway = min(rules.leeway, rules.window)
        latest, late = until - leeway, leeway + job.duration
        for start, end in self.free.after(at):
            planned = max(at, start)
            if planned > latest:
                return None
            if planned + job.duration <= end and self.work.hold(planned, planned + late):
                return planned
        return None

    def added(self, planned: datetime, job: Job) -> tuple[int | None, bool]:
        """How many metres more are driven for it that day, None where that is not known; whether it is on the way."""
        return self.route.added(planned, job.places) if self.route else (None, False)

    def can_promise(self, opens: datetime, closes: datetime, job: Job) -> bool:
        """Whether the job fits into the shifts from either end of the window, with no time off in between."""
        latest_end = closes + job.duration
        return self.work.hold(opens, latest_end) or (
            self.hours.hold(opens, opens + job.duration)
            and self.hours.hold(closes, latest_end)
            and not self.off.touch(opens, latest_end)
        )


@lru_cache(maxsize=8192)
def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first instant (UTC) at which the local clock shows this time or, where it is skipped, has passed it."""
    local = datetime.combine(day, at, tzinfo=zone)
    utc = local.astimezone(UTC)
    if _exists(local):
        return utc
    # The clock jumps over it. The jump is the minute at which the offset changes, before the naive reading.
    before = local.replace(fold=1).astimezone(UTC)
    minutes = range(int((utc - before) / _MINUTE) + 1)
    offset = utc.astimezone(zone).utcoffset()
    jump = bisect_left(minutes, True, key=lambda m: (before + m * _MINUTE).astimezone(zone).utcoffset() == offset)
    return before + jump * _MINUTE


def _exists(local: datetime) -> bool:
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + n * _DAY for n in range((last - first).days + 1))


def _grid(rules: Rules, first: date, last: date) -> list[datetime]:
    """The instants at which a slot may start, ascending."""
    return [at for day in _days(first, last) for at in _grid_of_day(rules.zone, rules.step, day)]


@lru_cache(maxsize=1024)
def _grid_of_day(zone: ZoneInfo, step: timedelta, day: date) -> tuple[datetime, ...]:
    midnight = datetime.combine(day, time(), tzinfo=zone)
    wall_clock = (midnight + n * step for n in range(_DAY // step))
    return tuple(at.astimezone(UTC) for at in wall_clock if _exists(at))


def _shift_end(day: date, shift: Shift, zone: ZoneInfo) -> datetime:
    return instant(day + _DAY, shift.end, zone) if shift.end == time() else instant(day, shift.end, zone)
