"""When somebody is free: hours less holidays, time off and bookings give slots. Pure: no database, web or clock.

Working hours and slots follow the wall clock of the business; everything returned is in UTC. A wall-clock time
that does not exist (clocks go forward) is never offered; one that comes twice (clocks go back) is offered once,
the first time. The same `free_slots` lists the slots and judges the one that was posted.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from zoneinfo import ZoneInfo

Interval = tuple[datetime, datetime]
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Rules:
    """How the business takes bookings. Slots start every `step` of the wall clock, counted from midnight."""

    zone: ZoneInfo
    step: timedelta = timedelta(hours=1)
    window: timedelta = timedelta(hours=1)
    notice: timedelta = timedelta(hours=4)
    horizon_days: int = 60

    def today(self, now: datetime) -> date:
        return now.astimezone(self.zone).date()

    def last_day(self, now: datetime) -> date:
        """The last local day that can be booked."""
        return self.today(now) + self.horizon_days * _DAY


@dataclass(frozen=True, slots=True)
class Shift:
    """A stretch of work on a weekday (0 is Monday), local time. An end of 00:00 is midnight after it."""

    weekday: int
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Calendar:
    """One handyman's time. `booked` includes the buffers; intervals are half-open, in UTC, in any order."""

    handyman_id: int
    shifts: Sequence[Shift]
    time_off: Sequence[Interval] = ()
    booked: Sequence[Interval] = ()


@dataclass(frozen=True, slots=True)
class Diary:
    """Everybody's calendars and the days on which nobody works."""

    calendars: Sequence[Calendar]
    holidays: frozenset[date] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Slot:
    """An arrival window (UTC), and who could take it: the least loaded that day comes first."""

    starts_at: datetime
    arrival_until: datetime
    handyman_ids: tuple[int, ...]


class Reason(StrEnum):
    """Why a slot cannot be had."""

    PAST = "past"
    NOTICE = "notice"
    HORIZON = "horizon"
    OFF_GRID = "off_grid"
    CLOSED = "closed"
    TAKEN = "taken"


def free_slots(
    diary: Diary, *, rules: Rules, occupied: timedelta, first: date, last: date, now: datetime
) -> list[Slot]:
    """Every slot from `first` to `last` (local days, inclusive) in which somebody can fit `occupied`, in order.

    `occupied` is the job and its buffer; all of it lies within working hours. The diary must reach to its end.
    """
    last = min(last, rules.last_day(now))
    grid = [t for t in _grid(rules, max(first, rules.today(now)), last) if t >= now + rules.notice]
    if not grid:
        return []
    reach = last + occupied // _DAY * _DAY + _DAY  # a job may run past midnight where the next day's shift adjoins
    takers: dict[datetime, list[tuple[timedelta, int]]] = {}
    for calendar in diary.calendars:
        loads = _daily_load(calendar.booked, rules.zone)
        for start, end in _free(calendar, diary.holidays, rules.zone, first, reach):
            for at in grid[bisect_left(grid, start) :]:
                if at + occupied > end:
                    break
                load = loads.get(at.astimezone(rules.zone).date(), timedelta())
                takers.setdefault(at, []).append((load, calendar.handyman_id))
    return [
        Slot(at, at + rules.window, tuple(handyman_id for _, handyman_id in sorted(takers[at])))
        for at in sorted(takers)
    ]


def find_slot(diary: Diary, *, rules: Rules, occupied: timedelta, starts_at: datetime, now: datetime) -> Slot | Reason:
    """The free slot that starts at this instant, or the reason why there is none."""
    day = starts_at.astimezone(rules.zone).date()
    for slot in free_slots(diary, rules=rules, occupied=occupied, first=day, last=day, now=now):
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
    unbooked = Diary([Calendar(c.handyman_id, c.shifts, c.time_off) for c in diary.calendars], diary.holidays)
    open_slots = free_slots(unbooked, rules=rules, occupied=occupied, first=day, last=day, now=now)
    return Reason.TAKEN if any(slot.starts_at == starts_at for slot in open_slots) else Reason.CLOSED


def working_time(calendar: Calendar, holidays: frozenset[date], zone: ZoneInfo, first: date, last: date) -> timedelta:
    """How long a handyman is at work from `first` to `last` (local days, inclusive): hours less time off."""
    unbooked = Calendar(calendar.handyman_id, calendar.shifts, calendar.time_off)
    return sum((end - start for start, end in _free(unbooked, holidays, zone, first, last)), timedelta())


def is_at_work(calendar: Calendar, zone: ZoneInfo, start: datetime, end: datetime) -> bool:
    """Whether a handyman's shifts hold all of this time, whatever time off or bookings say."""
    first, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    shifts = Calendar(calendar.handyman_id, calendar.shifts)
    return any(begun <= start and end <= over for begun, over in _free(shifts, frozenset(), zone, first - _DAY, last))


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


def _free(calendar: Calendar, holidays: frozenset[date], zone: ZoneInfo, first: date, last: date) -> list[Interval]:
    """When the handyman is at work with nothing to do, ascending, adjoining stretches joined."""
    work = (
        (instant(day, shift.start, zone), _shift_end(day, shift, zone))
        for day in _days(first, last)
        if day not in holidays
        for shift in calendar.shifts
        if shift.weekday == day.weekday()
    )
    return _minus(_joined(work), _joined(chain(calendar.time_off, calendar.booked)))


def _shift_end(day: date, shift: Shift, zone: ZoneInfo) -> datetime:
    return instant(day + _DAY, shift.end, zone) if shift.end == time() else instant(day, shift.end, zone)


def _joined(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of the intervals, ascending and disjoint."""
    joined: list[Interval] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif start < end:
            joined.append((start, end))
    return joined


def _minus(intervals: list[Interval], removed: list[Interval]) -> list[Interval]:
    """What is left of `intervals`; both are ascending and disjoint."""
    left: list[Interval] = []
    position = 0
    for start, end in intervals:
        while position < len(removed) and removed[position][1] <= start:
            position += 1
        for gap_start, gap_end in removed[position:]:
            if gap_start >= end:
                break
            if start < gap_start:
                left.append((start, gap_start))
            start = max(start, gap_end)
        if start < end:
            left.append((start, end))
    return left


def _daily_load(booked: Sequence[Interval], zone: ZoneInfo) -> dict[date, timedelta]:
    loads: dict[date, timedelta] = {}
    for start, end in booked:
        day = start.astimezone(zone).date()
        loads[day] = loads.get(day, timedelta()) + (end - start)
    return loads
