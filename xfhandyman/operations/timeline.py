"""The incidents of the last 24 hours as bars over a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from telemetry.diagnosis import incidents
from telemetry.models import IncidentRecord

DAY = 86_400.0
WIDTH, ROW, BAR = 720.0, 14.0, 10.0
LEAST = 3.0
"""Width of the shortest bar, so that it is seen."""
MOST_ROWS = 6
HOURS = (0, 6, 12, 18, 24)


@dataclass(frozen=True, slots=True)
class Span:
    """What went wrong from when to when (Unix seconds); `ended` is None while it goes on."""

    sentence: str
    started: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Bar:
    """A span in the units of the drawing."""

    sentence: str
    x: float
    y: float
    width: float
    open: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bars, the hours below them (x, what it says), and the height of all."""

    bars: list[Bar]
    hours: list[tuple[float, str]]
    height: int
    width: float = WIDTH
    bar: float = BAR


def from_board() -> list[Span]:
    """What this host remembers; asks no database."""
    return [Span(each.sentence, each.started_at, each.ended_at) for each in incidents.board().recent()]


def from_everywhere(now: datetime) -> list[Span]:
    """What this host remembers, and what other hosts, or this one before it was made again, have stored."""
    found = {each.id: Span(each.sentence, each.started_at, each.ended_at) for each in incidents.board().recent()}
    for row in IncidentRecord.objects.filter(started_at__gte=now - timedelta(days=1))[:200]:
        ended = row.ended_at.timestamp() if row.ended_at else None
        found.setdefault(row.id, Span(row.sentence, row.started_at.timestamp(), ended))
    return sorted(found.values(), key=lambda span: span.started)


def draw(spans: Sequence[Span], at: float) -> Timeline:
    """Lay out the day before `at`: spans that overlap stand above one another."""
    began, free = at - DAY, list[float]()
    bars = []
    for span in sorted(spans, key=lambda span: span.started):
        left, right = ((max(moment, began) - began) / DAY * WIDTH for moment in (span.started, span.ended or at))
        if (span.ended or at) < began:
            continue
        width = max(right - left, LEAST)
        row = next((row for row, until in enumerate(free) if until <= left), len(free))
        if row == len(free) and row < MOST_ROWS:
            free.append(0.0)
        row = min(row, MOST_ROWS - 1)
        free[row] = left + width + 1
        bars.append(Bar(span.sentence, round(left, 1), row * ROW, round(width, 1), span.ended is None))
    hours = [(hour * WIDTH / 24, _clock(began + hour * 3600)) for hour in HOURS]
    return Timeline(bars, hours, int(max(len(free), 1) * ROW))


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M")
