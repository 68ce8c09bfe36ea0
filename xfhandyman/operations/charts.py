"""Bars drawn by the server: geometry for templates/admin/operations/_bars.html, in units of its viewBox."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 190
LEFT, RIGHT, TOP, BOTTOM = 48, 24, 14, 26


@dataclass(frozen=True, slots=True)
class Point:
    """One bar: `label` says which in full, `tick` stands under it (or is empty)."""

    label: str
    tick: str
    value: int


@dataclass(frozen=True, slots=True)
class Bar:
    point: Point
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal line at a value."""

    y: float
    value: int


@dataclass(frozen=True, slots=True)
class BarChart:
    """A chart and its table. `name` is unique on the page; `unit` is what is counted."""

    name: str
    title: str
    unit: str
    points: Sequence[Point]

    @property
    def total(self) -> int:
        return sum(point.value for point in self.points)

    @property
    def viewbox(self) -> str:
        return f"0 0 {WIDTH} {HEIGHT}"

    @property
    def left(self) -> int:
        return LEFT

    @property
    def right(self) -> int:
        return WIDTH - RIGHT

    @property
    def base(self) -> int:
        return HEIGHT - BOTTOM

    @property
    def top(self) -> int:
        """The scale's end: the least of 2, 4, 10, 20, 40, 100 ... that holds every bar; its half is whole."""
        most, power = max((point.value for point in self.points), default=0), 1
        while True:
            for step in (2, 4, 10):
                if most <= step * power:
                    return step * power
            power *= 10

    @property
    def lines(self) -> list[Line]:
        return [Line(self._y(value), value) for value in (0, self.top // 2, self.top)]

    @property
    def bars(self) -> list[Bar]:
        step = (self.right - LEFT) / max(len(self.points), 1)
        return [
            Bar(
                point,
                x=round(LEFT + step * index + step * 0.12, 1),
                y=self._y(point.value),
                width=round(step * 0.76, 1),
                height=round(self.base - self._y(point.value), 1),
            )
            for index, point in enumerate(self.points)
        ]

    def _y(self, value: int) -> float:
        return round(self.base - (self.base - TOP) * value / self.top, 1)
