"""Stretches of time: half-open, in UTC."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime

Interval = tuple[datetime, datetime]


class Spans:
    """Stretches of time, ascending and disjoint."""

    def __init__(self, spans: list[Interval]) -> None:
        self.spans = spans
        self._ends = [end for _, end in spans]

    def after(self, at: datetime) -> Iterator[Interval]:
        """Those that end after this instant, in order."""
        return (self.spans[number] for number in range(bisect_right(self._ends, at), len(self.spans)))

    def hold(self, start: datetime, end: datetime) -> bool:
        """Whether one of them holds all of this time."""
        number = bisect_right(self._ends, start)
        return number < len(self.spans) and self.spans[number][0] <= start and end <= self._ends[number]

    def touch(self, start: datetime, end: datetime) -> bool:
        """Whether any of them lies in this time."""
        number = bisect_right(self._ends, start)
        return number < len(self.spans) and self.spans[number][0] < end


def joined(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of the intervals, ascending and disjoint."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def minus(intervals: Iterable[Interval], removed: list[Interval]) -> list[Interval]:
    """What is left of `intervals`; both are ascending and disjoint."""
    left: list[Interval] = []
    position = 0
    for start, end in intervals:
        while position < len(removed) and removed[position][1] <= start:
            position += 1
        for gap_start, gap_end in removed[position:]:
            if gap_start >= end:
                break
            if start < gap_start:
                left.append((start, gap_start))
            start = max(start, gap_end)
        if start < end:
            left.append((start, end))
    return left
