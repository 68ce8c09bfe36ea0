"""Whose turn it is, of several handymen who are free."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from bookings.models import Booking, Handyman
from bookings.slots import calendars, rules
from bookings.slots.rules import Slot

_NEVER = datetime.min.replace(tzinfo=UTC)


def nearest_first(slot: Slot, now: datetime) -> list[int]:
    """Those who would drive the least more for it first, then those of whom that is not known; equal ones in turn."""
    order = in_turn(slot.handyman_ids, slot.starts_at, now)
    extra = dict(zip(slot.handyman_ids, slot.extra, strict=True)) if slot.extra else dict[int, int | None]()
    return sorted(order, key=lambda pk: (extra.get(pk) is None, extra.get(pk) or 0))


def in_turn(handyman_ids: Sequence[int], starts_at: datetime, now: datetime) -> list[int]:
    """Those with the fewest visits that day first, then that week, then those who were given none for longest.

    Days and weeks (from Monday) are the business's own. Two queries, where there is a choice.
    """
    if len(handyman_ids) < 2:
        return list(handyman_ids)
    zone = calendars.current_rules().zone
    day = starts_at.astimezone(zone).date()
    monday = day - timedelta(days=day.weekday())
    week = [rules.instant(monday + timedelta(days=days), time(), zone) for days in (0, 7)]
    visits = Booking.objects.occupying(now).overlapping(week[0], week[1]).filter(handyman__in=handyman_ids)
    of_day, of_week = Counter[int](), Counter[int]()
    for handyman_id, begins in visits.values_list("handyman_id", "starts_at"):
        of_day[handyman_id] += begins.astimezone(zone).date() == day
        of_week[handyman_id] += 1
    given = dict(Handyman.objects.filter(pk__in=handyman_ids).values_list("pk", "given_at"))
    return sorted(handyman_ids, key=lambda pk: (of_day[pk], of_week[pk], given[pk] or _NEVER, pk))
