"""Which free time suits somebody who waits for one. Pure: no database, web or clock."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from bookings.slots.rules import Slot


@dataclass(frozen=True, slots=True)
class Preference:
    """What would suit: weekdays (Monday is 0) and hours of the local clock that hold the whole arrival window.

    `before` is the start of the visit that would be moved; `offered` are times that were offered already.
    """

    last_day: date
    weekdays: frozenset[int] = frozenset(range(7))
    not_before: time = time()
    not_after: time = time.max
    handyman_id: int | None = None
    before: datetime | None = None
    offered: frozenset[datetime] = field(default_factory=frozenset)

    def suits(self, slot: Slot, zone: ZoneInfo) -> bool:
        """Whether this free slot would do, and is earlier than what they have."""
        opens, closes = slot.starts_at.astimezone(zone), slot.arrival_until.astimezone(zone)
        return (
            slot.starts_at not in self.offered
            and (self.before is None or slot.starts_at < self.before)
            and opens.date() <= self.last_day
            and opens.weekday() in self.weekdays
            and self.not_before <= opens.time()
            and closes.date() == opens.date()
            and closes.time() <= self.not_after
            and (self.handyman_id is None or self.handyman_id in slot.handyman_ids)
        )


def first_fit(preference: Preference, slots: Iterable[Slot], zone: ZoneInfo) -> Slot | None:
    """The first of these slots that suits."""
    return next((slot for slot in slots if preference.suits(slot, zone)), None)
