"""The ways of a handyman's day: to each visit, and from the last one to where the day ends, where places are known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bookings.crew.ways import way
from bookings.models import Booking, Handyman
from bookings.slots.route import arrival
from bookings.slots.travel import Place, Travel, metres

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Journey:
    """From one postcode to another. `short` is how many minutes are missing for it: 0 where it fits."""

    origin: str
    destination: str
    starts_at: datetime
    ends_at: datetime
    short: int

    @property
    def minutes(self) -> int:
        return round((self.ends_at - self.starts_at) / _MINUTE)


@dataclass(frozen=True, slots=True)
class Day:
    """A handyman's day: when his work begins and ends (None where he has none), and the places that are known."""

    handyman: Handyman
    opens: datetime | None
    closes: datetime | None
    places: Mapping[str, Place]
    travel: Travel

    def to_visits(self, visits: Sequence[Booking]) -> dict[int, Journey]:
        """By booking, the way to it, begun as late as possible. Takes them in order, read by `clashes.with_skill`."""
        found, before, free = {}, self._at(self.handyman.start_postcode), self.opens
        for booking in visits:
            here = _of(booking)
            if before and here:
                there = way(self.travel, before[0], metres(before[1], here[1]), booking.planned_at)
                short = _short(booking, there.leave_by, free)
                found[booking.pk] = Journey(before[0], here[0], there.leave_by, booking.planned_at, short)
            before, free = here, booking.ends_at
        return found

    def home(self, visits: Sequence[Booking]) -> Journey | None:
        """The way from the last visit to where the day ends."""
        last, there = visits[-1:], self._at(self.handyman.end_postcode)
        here = _of(last[0]) if last else None
        if here is None or there is None:
            return None
        ends_at = arrival(self.travel, metres(here[1], there[1]), last[0].ends_at)
        return Journey(here[0], there[0], last[0].ends_at, ends_at, _short(last[0], self.closes, ends_at))

    def _at(self, postcode: str) -> tuple[str, Place] | None:
        return (postcode, self.places[postcode]) if postcode in self.places else None


def ends_of(people: Iterable[Handyman]) -> set[str]:
    """The postcodes at which their days begin and end."""
    return {postcode for person in people for postcode in (person.start_postcode, person.end_postcode)}


def _of(booking: Booking) -> tuple[str, Place] | None:
    point = booking.point  # type: ignore[attr-defined] # annotated
    return (booking.postcode, Place(*point)) if point else None


def _short(booking: Booking, have: datetime | None, need: datetime | None) -> int:
    """Minutes from what there is to what is needed. What is over, or was agreed with the handyman, is never short."""
    if have is None or need is None or not booking.is_open or booking.overtime:
        return 0
    return max(-(-(need - have) // _MINUTE), 0)
