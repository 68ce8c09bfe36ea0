"""How long the way from one door to the next takes. Pure: no database, web or clock.

A way is its distance as the crow flies, times a detour, driven at the usual speed of each hour of the local day, and
then parking. The speed changes on the way when the hour does, so whoever leaves later never arrives earlier, and the
latest departure is the exact inverse of the earliest arrival. Everything is computed in whole metres and seconds.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_EARTH = 6_371_009
"""Its mean radius, in metres."""
_SECOND = timedelta(seconds=1)
_HALF_HOUR = 1800
CITY = (35,) * 7 + (20,) * 3 + (24,) * 6 + (19,) * 3 + (28,) * 3 + (35,) * 2
"""What one drives in a city, in km/h, for each hour of the day."""


class Place(NamedTuple):
    """A point on the earth, in degrees (WGS 84)."""

    latitude: float
    longitude: float


Places = tuple[Place, ...]
"""One place; or the corners of an area, when that alone is known; or none, when nothing is."""


@lru_cache(maxsize=1 << 16)
def metres(one: Place, other: Place) -> int:
    """The distance as the crow flies."""
    north, other_north = math.radians(one.latitude), math.radians(other.latitude)
    down = math.sin((other_north - north) / 2) ** 2
    across = math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    return round(2 * _EARTH * math.asin(math.sqrt(min(1, down + math.cos(north) * math.cos(other_north) * across))))


@lru_cache(maxsize=1 << 16)
def farthest(ones: Places, others: Places) -> int:
    """The distance in metres that is enough from any of these places to any of the others."""
    return max(metres(one, other) for one in ones for other in others)


def coarse(places: Places) -> Places:
    """The same to a hundredth of a degree, about a kilometre: for what may be known to anybody."""
    return tuple(Place(round(each.latitude, 2), round(each.longitude, 2)) for each in places)


@dataclass(frozen=True, slots=True)
class Travel:
    """How one gets about: `speeds` in km/h for each hour of the local day, all positive."""

    zone: ZoneInfo
    speeds: tuple[int, ...] = CITY
    detour_percent: int = 130
    parking: timedelta = timedelta(minutes=8)
    nearby: int = 2_000
    """Extra metres (as the crow flies) up to which a visit lies on a handyman's way."""

    def arrival(self, distance: int, leaves: datetime) -> datetime:
        """When one is at the door who leaves then, for so many metres as the crow flies."""
        left, at = self._length(distance), leaves
        if at.microsecond:
            at = at.replace(microsecond=0) + _SECOND
        while True:
            local = at.astimezone(self.zone)
            speed, seconds = self.speeds[local.hour], _HALF_HOUR - (local.minute * 60 + local.second) % _HALF_HOUR
            if left <= speed * seconds:
                return at + timedelta(seconds=-(-left // speed)) + self.parking
            left -= speed * seconds
            at += timedelta(seconds=seconds)

    def departure(self, distance: int, arrives: datetime) -> datetime:
        """When one must leave at the latest to be at the door by then."""
        left, at = self._length(distance), arrives - self.parking
        if at.microsecond:
            at = at.replace(microsecond=0)
        while True:
            local = (at - _SECOND).astimezone(self.zone)
            speed, seconds = self.speeds[local.hour], (local.minute * 60 + local.second) % _HALF_HOUR + 1
            if left <= speed * seconds:
                return at - timedelta(seconds=-(-left // speed))
            left -= speed * seconds
            at -= timedelta(seconds=seconds)

    def _length(self, distance: int) -> int:
        """The way in km/h times seconds, of which there are 3.6 in a metre."""
        return -(-distance * self.detour_percent * 36 // 1000)


def speeds_by_hour(text: str) -> tuple[int, ...]:
    """Read "0=35, 7=20": from midnight on 35 km/h, from seven o'clock on 20. Raises ValueError."""
    parts = (part.split("=", 1) for part in text.split(","))
    from_hour = {int(part[0]): int(part[-1]) for part in parts}
    if 0 not in from_hour or not all(0 <= hour < 24 and 1 <= speed <= 130 for hour, speed in from_hour.items()):
        raise ValueError("must give km/h (1 to 130) from hour 0 on, such as 0=35,7=20,10=24")
    return tuple(from_hour[max(start for start in from_hour if start <= hour)] for hour in range(24))
