"""Whose turn it is, of several handymen who are free."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from bookings.kept_query import together
from bookings.slots import calendars, queries, rules
from bookings.slots.rules import Slot

_NEVER = datetime.min.replace(tzinfo=UTC)


def nearest_first(slot: Slot, now: datetime) -> list[int]:
    """Those who would drive the least more for it first, then those of whom that is not known; equal ones in turn."""
    order = in_turn(slot.handyman_ids, slot.starts_at, now)
    extra = dict(zip(slot.handyman_ids, slot.extra, strict=True)) if slot.extra else dict[int, int | None]()
    return sorted(order, key=lambda pk: (extra.get(pk) is None, extra.get(pk) or 0))


def in_turn(handyman_ids: Sequence[int], starts_at: datetime, now: datetime) -> list[int]:
    """Those with the fewest visits that day first, then that week, then those who were given none for longest.

    Days and weeks (from Monday) are the business's own. One round trip, where there is a choice.
    """
    if len(handyman_ids) < 2:
        return list(handyman_ids)
    zone = calendars.current_rules().zone
    day = starts_at.astimezone(zone).date()
    monday = day - timedelta(days=day.weekday())
    week = [rules.instant(monday + timedelta(days=days), time(), zone) for days in (0, 7)]
    ids = list(handyman_ids)
    visits, given_at = together((queries.begins(), (ids, *week, now)), (queries.given(), (ids,)))
    of_day, of_week = Counter[int](), Counter[int]()
    for handyman_id, begins in visits:
        of_day[handyman_id] += begins.astimezone(zone).date() == day
        of_week[handyman_id] += 1
    given: dict[int, datetime | None] = dict(given_at)
    return sorted(handyman_ids, key=lambda pk: (of_day[pk], of_week[pk], given[pk] or _NEVER, pk))
