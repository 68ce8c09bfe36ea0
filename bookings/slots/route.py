"""The ways between the visits of one handyman, and what another job would add to them. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from bookings.slots.spans import Interval
from bookings.slots.travel import Places, Travel, coarse, farthest

_INSTANT = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)


class Visit(NamedTuple):
    """What a handyman is booked for. Nobody else may have the time from `start` to `until`, half-open, in UTC.

    He leaves for the next at `leaves` (`until` by default), and keeps `buffer` after that if the way is not known.
    """

    start: datetime
    until: datetime
    leaves: datetime | None = None
    buffer: timedelta = timedelta()
    places: Places = ()


def blocked_interval(visit: Visit, places: Places, buffer: timedelta, travel: Travel | None) -> Interval:
    """The time in which a job at these places cannot lie, because of a visit and the ways to and from it."""
    leaves = visit.leaves or visit.until
    if not (travel and places and visit.places):
        return visit.start - buffer, max(visit.until, leaves + visit.buffer)
    way = farthest(visit.places, places)
    return min(visit.start, travel.departure(way, visit.start)), max(visit.until, arrival(travel, way, leaves))


def arrival(travel: Travel, way: int, leaves: datetime) -> datetime:
    """In whole minutes, as arrivals are planned."""
    at = travel.arrival(way, leaves)
    return at.replace(second=0) + _MINUTE if at.second else at


def unreachable(visits: Iterable[Visit], travel: Travel) -> list[Visit]:
    """Those of one handyman's visits that he does not get to in time from the one before, where both are known."""
    ordered = sorted(visits, key=lambda visit: visit.start)
    return [after for before, after in pairwise(ordered) if _is_late(before, after, travel)]


def _is_late(before: Visit, after: Visit, travel: Travel) -> bool:
    if not (before.places and after.places):
        return False
    return arrival(travel, farthest(before.places, after.places), before.leaves or before.until) > after.start


def _detour(before: Places, places: Places, after: Places) -> int:
    there = farthest(before, places) if before else 0
    further = farthest(places, after) if after else 0
    return there + further - (farthest(before, after) if before and after else 0)


class Route:
    """A handyman's days of work: where each begins and ends, and the visits in between."""

    def __init__(
        self, begins: Places, ends: Places, visits: Iterable[Visit], work: list[Interval], travel: Travel
    ) -> None:
        self._begins, self._ends, self._travel, self._work = begins, ends, travel, work
        self._visits = sorted(visits)
        self._starts = [visit.start for visit in self._visits]
        self._days = list(self._by_day())
        self._mornings = [start for start, _ in self._days]
        self._known: dict[tuple[int, int], tuple[int | None, bool]] = {}

    def within(self, places: Places, buffer: timedelta) -> Iterator[Interval]:
        """The times of work in which a job at these places may lie, whatever else is booked."""
        soonest = [morning for morning, _ in self._days]
        latest = [evening for _, evening in self._days]
        if self._begins:
            way = farthest(self._begins, places)
            soonest = [arrival(self._travel, way, morning) for morning in soonest]
        if self._ends:
            way = farthest(places, self._ends)
            latest = [self._travel.departure(way, evening) for evening in latest]
        for start, end in self._work:
            day = self._day_of(start)
            goes_home = self._ends and end == self._days[day][1]
            start, end = max(start, soonest[day]), min(end if goes_home else end - buffer, latest[day])
            if start < end:
                yield start, end

    def added(self, at: datetime, places: Places) -> tuple[int | None, bool]:
        """How many metres (as the crow flies) a job at this one place adds to the day, and whether it is on the way.

        None and False where that is not known. What is on the way is shown to anybody who asks, so that is judged by
        coarse places alone.
        """
        if len(places) != 1:
            return None, False
        day, following = self._day_of(at), bisect_left(self._starts, at)
        if (day, following) not in self._known:
            self._known[day, following] = self._added(day, following, places)
        return self._known[day, following]

    def _added(self, day: int, following: int, places: Places) -> tuple[int | None, bool]:
        before, after = self._begins, self._ends
        morning, evening = self._days[day]
        if following and self._visits[following - 1].start >= morning:
            before = self._visits[following - 1].places
        if following < len(self._visits) and self._visits[following].start < evening:
            after = self._visits[following].places
        if not (before or after):
            return None, False
        shown = _detour(coarse(before), coarse(places), coarse(after))
        return _detour(before, places, after), shown <= self._travel.nearby

    def _by_day(self) -> Iterator[Interval]:
        """From where work begins on a local day to where it ends, over midnight where it goes on there."""
        zone, day = self._travel.zone, list[Interval]()
        for start, end in self._work:
            if day and (day[-1][1] - _INSTANT).astimezone(zone).date() != start.astimezone(zone).date():
                yield day[0][0], day[-1][1]
                day = []
            day.append((start, end))
        if day:
            yield day[0][0], day[-1][1]

    def _day_of(self, at: datetime) -> int:
        return bisect_right(self._mornings, at) - 1
