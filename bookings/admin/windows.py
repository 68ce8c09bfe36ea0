"""Seven days of free windows as staff pick from them: without notice, further ahead than customers, by handyman."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from bookings.basket import Work
from bookings.models import Booking, Handyman
from bookings.slots import calendars
from bookings.slots.rules import Slot

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    slots: list[Slot]


@dataclass(frozen=True, slots=True)
class Windows:
    """`days` has a week from the first day asked for, or from the first with anything free."""

    days: list[Day]
    handymen: list[Handyman]
    """Who could be asked for."""
    previous: date | None
    following: date | None

    @property
    def is_empty(self) -> bool:
        return not any(day.slots for day in self.days)


def windows(
    service: Work,
    *,
    handyman: Handyman | None = None,
    first: date | None = None,
    moving: Booking | None = None,
    postcode: str | None = calendars.ANYWHERE,
) -> Windows:
    """Five queries at most."""
    now, by_rules = timezone.now(), calendars.staff_rules()
    where = moving.postcode if moving else postcode
    reader = calendars.Reader(
        now=now,
        service=service,
        handyman=handyman,
        ignoring=moving,
        by_rules=by_rules,
        postcode=where,
    )
    today, last = by_rules.today(now), by_rules.last_day(now)
    begins = min(max(first or today, today), last)
    slots = reader.slots(begins, begins + 6 * DAY)
    if not slots and first is None and (found := reader.next_slots(begins)):
        begins = timezone.localdate(found[0].starts_at)
        slots = reader.slots(begins, begins + 6 * DAY)
    of_day: dict[date, list[Slot]] = defaultdict(list)
    for slot in slots:
        of_day[timezone.localdate(slot.starts_at)].append(slot)
    return Windows(
        days=[Day(day, of_day[day]) for day in (begins + DAY * n for n in range(7))],
        handymen=list(Handyman.objects.skilled_in(*service.services)),
        previous=max(begins - 7 * DAY, today) if begins > today else None,
        following=begins + 7 * DAY if begins + 7 * DAY <= last else None,
    )


def asked_day(given: Mapping[str, str], name: str) -> date | None:
    """A day in ISO 8601; None where it cannot be read."""
    try:
        day = datetime.fromisoformat(given.get(name) or "").date()
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2200 else None
