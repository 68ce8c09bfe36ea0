"""Seven days of free arrival windows, as the pages and /api/availability show them."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bookings.basket import Work
from bookings.models import Booking, Handyman
from bookings.slots import calendars
from bookings.slots.rules import Slot

_DAY = timedelta(days=1)
_WEEK = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Day:
    """A local day and its free slots, in order."""

    date: date
    slots: list[Slot]

    @property
    def nearby(self) -> list[Slot]:
        """Those that lie on a handyman's way."""
        return [slot for slot in self.slots if slot.is_nearby]

    @property
    def groups(self) -> list[list[Slot]]:
        """The slots as they are shown: first those on a handyman's way, then the others; none of the groups empty."""
        others = [slot for slot in self.slots if not slot.is_nearby]
        return [group for group in (self.nearby, others) if group]


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from `first`. `next_free` is the first free slot from today on, where it had to be known.

    `previous` and `following` are the first days of the neighbouring weeks that can be booked.
    """

    days: list[Day]
    selected: Day
    next_free: Slot | None
    previous: date | None
    following: date | None
    is_possible: bool = True
    """Somebody's working hours have room for the job; looked at only where nothing is free."""

    knows_postcodes: bool = False
    """It matters where the job is."""
    is_anywhere: bool = False
    """The windows are those that are possible wherever in the area the job is."""

    @property
    def is_sold_out(self) -> bool:
        """Nothing is free for as far ahead as one can book."""
        return self.next_free is None and not any(each.slots for each in self.days)

    @property
    def next_day(self) -> date | None:
        return self.next_free.starts_at.astimezone(calendars.current_rules().zone).date() if self.next_free else None


def week(
    *,
    service: Work,
    now: datetime,
    handyman: Handyman | None = None,
    day: date | None = None,
    first: date | None = None,
    ignoring: Booking | None = None,
    postcode: str | None = calendars.ANYWHERE,
    version: str = "",
) -> Week:
    """The week that holds `day`, or the one from `first`, or the first one with a free slot.

    Weeks are counted from today, so the first one never begins with days gone by. Without `day` the first day
    with a free slot is selected. At most two queries, whatever the number of bookings; with the `version` of the
    catalogue one or two, and hours and holidays as they are kept for it.
    """
    reader = calendars.Reader(
        now=now, service=service, handyman=handyman, ignoring=ignoring, postcode=postcode, version=version
    )
    rules = reader.rules
    today, last_day = rules.today(now), rules.last_day(now)

    def load(wanted: date) -> list[Day]:
        return _days(reader, _week_start(min(max(wanted, today), last_day), today))

    days = load(day or first or today)
    next_free = _first_slot(days) if days[0].date == today else None
    if not _first_slot(days):
        found = reader.next_slots()
        next_free = found[0] if found else None
        if next_free and not (day or first):
            days = load(next_free.starts_at.astimezone(rules.zone).date())
    selected = next((each for each in days if each.date == day), None)
    is_possible = next_free is not None or _first_slot(days) is not None or reader.is_possible()
    start = days[0].date
    return Week(
        days=days,
        selected=selected or next((each for each in days if each.slots), days[0]),
        next_free=next_free,
        previous=start - _WEEK if start > today else None,
        following=start + _WEEK if start + _WEEK <= last_day else None,
        is_possible=is_possible,
        knows_postcodes=reader.knows_postcodes,
        is_anywhere=len(reader.job.places) > 1,
    )


def _week_start(day: date, today: date) -> date:
    return today + (day - today) // _WEEK * _WEEK


def _first_slot(days: list[Day]) -> Slot | None:
    return next((each.slots[0] for each in days if each.slots), None)


def _days(reader: calendars.Reader, start: date) -> list[Day]:
    by_day: dict[date, list[Slot]] = defaultdict(list)
    for slot in reader.slots(start, start + 6 * _DAY):
        by_day[slot.starts_at.astimezone(reader.rules.zone).date()].append(slot)
    return [Day(start + n * _DAY, by_day[start + n * _DAY]) for n in range(7)]
