"""National grids of the British Isles, in metres, as degrees of latitude and longitude (WGS 84), to about 5 metres.

The projection is the Ordnance Survey's "A guide to coordinate systems in Great Britain", the shift between the datums
its published Helmert transformation.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

Point = tuple[float, float]
"""Latitude and longitude, in degrees."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A transverse Mercator projection: its ellipsoid, scale, true and false origin, and the shift to WGS 84."""

    a: float
    b: float
    scale: float
    origin: Point
    east: float
    north: float
    shift: tuple[float, float, float]
    turn: tuple[float, float, float]
    """In seconds of arc."""
    growth: float
    """Parts in a million."""

    def point(self, easting: float, northing: float) -> Point:
        """Where a reference of this grid is."""
        return self._to_wgs84(*self._unprojected(easting, northing))

    def _unprojected(self, easting: float, northing: float) -> tuple[float, float]:
        """Latitude and longitude on the grid's own ellipsoid, in radians."""
        a, b, scale = self.a, self.b, self.scale
        start, middle = map(math.radians, self.origin)
        squared, flat = 1 - (b / a) ** 2, (a - b) / (a + b)
        latitude = start + (northing - self.north) / (a * scale)
        while abs(missing := northing - self.north - self._meridian(latitude, start, flat)) > 0.001:
            latitude += missing / (a * scale)
        sin, tan, sec = math.sin(latitude), math.tan(latitude), 1 / math.cos(latitude)
        nu = a * scale / math.sqrt(1 - squared * sin**2)
        rho = a * scale * (1 - squared) / (1 - squared * sin**2) ** 1.5
        eta, t, x = nu / rho - 1, tan**2, (easting - self.east) / nu
        squares = x**2 / 2 - x**4 / 24 * (5 + 3 * t + eta - 9 * t * eta) + x**6 / 720 * (61 + 90 * t + 45 * t**2)
        last = x**7 / 5040 * (61 + 662 * t + 1320 * t**2 + 720 * t**3)
        odd = x - x**3 / 6 * (nu / rho + 2 * t) + x**5 / 120 * (5 + 28 * t + 24 * t**2) - last
        return latitude - tan * nu / rho * squares, middle + sec * odd

    def _meridian(self, latitude: float, start: float, n: float) -> float:
        apart, both = latitude - start, latitude + start
        return (
            self.b
            * self.scale
            * (
                (1 + n + 5 / 4 * n**2 + 5 / 4 * n**3) * apart
                - (3 * n + 3 * n**2 + 21 / 8 * n**3) * math.sin(apart) * math.cos(both)
                + (15 / 8 * n**2 + 15 / 8 * n**3) * math.sin(2 * apart) * math.cos(2 * both)
                - 35 / 24 * n**3 * math.sin(3 * apart) * math.cos(3 * both)
            )
        )

    def _to_wgs84(self, latitude: float, longitude: float) -> Point:
        nu = self.a / math.sqrt(1 - (1 - (self.b / self.a) ** 2) * math.sin(latitude) ** 2)
        x = nu * math.cos(latitude) * math.cos(longitude)
        y = nu * math.cos(latitude) * math.sin(longitude)
        z = (self.b / self.a) ** 2 * nu * math.sin(latitude)
        grown = 1 + self.growth / 1e6
        tx, ty, tz = self.shift
        rx, ry, rz = (math.radians(each / 3600) for each in self.turn)
        x, y, z = tx + grown * x - rz * y + ry * z, ty + rz * x + grown * y - rx * z, tz - ry * x + rx * y + grown * z
        return _on_wgs84(x, y, z)


def _on_wgs84(x: float, y: float, z: float) -> Point:
    a, b = 6378137.0, 6356752.314245
    squared, across = 1 - (b / a) ** 2, math.hypot(x, y)
    latitude = math.atan2(z, across * (1 - squared))
    for _ in range(4):
        nu = a / math.sqrt(1 - squared * math.sin(latitude) ** 2)
        latitude = math.atan2(z + squared * nu * math.sin(latitude), across)
    return round(math.degrees(latitude), 5), round(math.degrees(math.atan2(y, x)), 5)


GREAT_BRITAIN = Grid(
    a=6377563.396, b=6356256.909, scale=0.9996012717, origin=(49, -2), east=400_000, north=-100_000,
    shift=(446.448, -125.157, 542.060), turn=(0.1502, 0.2470, 0.8421), growth=-20.4894,
)  # fmt: skip
IRELAND = Grid(
    a=6377340.189, b=6356034.448, scale=1.000035, origin=(53.5, -8), east=200_000, north=250_000,
    shift=(482.530, -130.596, 564.557), turn=(-1.042, -0.214, -0.631), growth=8.150,
)  # fmt: skip
"""In which the grid references of Northern Ireland are given."""


def hull(points: Iterable[Point]) -> list[Point]:
    """The corners of the convex outline of these points."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    corners: list[Point] = []
    for way in (ordered, ordered[::-1]):
        side: list[Point] = []
        for point in way:
            while len(side) > 1 and _turn(side[-2], side[-1], point) <= 0:
                side.pop()
            side.append(point)
        corners += side[:-1]
    return corners


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
