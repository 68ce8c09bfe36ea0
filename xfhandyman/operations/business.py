"""The business in figures: what came in, what is to be done, who waits."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncDay, TruncHour
from django.utils import timezone

from bookings.models import Booking, BookingEvent, BookingLine, ContactMessage, Handyman, Status
from bookings.slots import calendars, rules
from bookings.slots.calendars import midnight
from xfhandyman.operations.charts import BarChart, Point

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
DAYS = 30


@dataclass(frozen=True, slots=True)
class Load:
    """A handyman's coming week, in hours: at work, and booked (with the buffers) of it."""

    handyman: str
    at_work: float
    booked: float

    @property
    def percent(self) -> int:
        return round(100 * self.booked / self.at_work) if self.at_work else 0

    @property
    def drawn(self) -> int:
        """The bar's length of 100; more than full is full."""
        return min(self.percent, 100) if self.at_work else 100 * bool(self.booked)


def made(since: datetime) -> QuerySet[BookingEvent]:
    """Bookings made since then, online or on the phone. A hold counts once it is confirmed."""
    kinds = (BookingEvent.Kind.CREATED, BookingEvent.Kind.CONFIRMED)
    return BookingEvent.objects.filter(kind__in=kinds, at__gte=since)


def cancelled(since: datetime) -> QuerySet[BookingEvent]:
    return BookingEvent.objects.filter(kind=BookingEvent.Kind.CANCELLED, at__gte=since)


def written(since: datetime) -> QuerySet[ContactMessage]:
    """Messages from then on, without suspected spam."""
    return ContactMessage.objects.filter(created_at__gte=since, suspected_spam=False)


def counted(rows: QuerySet[Any], slot: TruncDay | TruncHour) -> dict[datetime, int]:
    """How many rows fall into each day or hour that has any."""
    counts = rows.order_by().annotate(slot=slot).values("slot").annotate(number=Count("pk"))
    return dict(counts.values_list("slot", "number"))


def by_hour(
    name: str, title: str, unit: str, rows: Callable[[datetime], Any], now: datetime, *, at: str = "at"
) -> BarChart:
    """What came in, hour by hour; `at` is the field that says when."""
    # In UTC: on the day clocks go back, a local hour comes twice.
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [last - HOUR * back for back in reversed(range(24))]
    numbers = counted(rows(hours[0]), TruncHour(at, tzinfo=UTC))
    points = [Point(f"{timezone.localtime(hour):%a %H:%M}", _tick(hour), numbers.get(hour, 0)) for hour in hours]
    return BarChart(name, f"{title} by hour, last 24 hours", unit, points)


def _tick(hour: datetime) -> str:
    local = timezone.localtime(hour)
    return f"{local:%H}" if local.hour % 3 == 0 else ""


def by_day(name: str, title: str, unit: str, events: Callable[[datetime], Any], now: datetime) -> BarChart:
    today = timezone.localdate(now)
    days = [today - DAY * back for back in reversed(range(DAYS))]
    numbers = {timezone.localdate(at): n for at, n in counted(events(midnight(days[0])), TruncDay("at")).items()}
    points = [
        Point(f"{day:%a %d %b}", f"{day.day} {day:%b}" if day.weekday() == 0 else "", numbers.get(day, 0))
        for day in days
    ]
    return BarChart(name, title, unit, points)


def coming_week(now: datetime) -> list[Load]:
    """Everybody's load from today for seven days, the fullest first. Five queries."""
    first = timezone.localdate(now)
    last, zone = first + DAY * 6, calendars.current_rules().zone
    start, end = midnight(first), midnight(last + DAY)
    loaded = calendars.load(first=first, last=last, now=now)
    names = dict(Handyman.objects.values_list("pk", "name"))
    loads = [
        Load(
            names[calendar.handyman_id],
            rules.working_time(calendar, loaded.holidays, zone, first, last) / HOUR,
            sum((within(visit[:2], start, end) for visit in calendar.booked), timedelta()) / HOUR,
        )
        for calendar in loaded.calendars
    ]
    return sorted(loads, key=lambda load: (-load.percent, load.handyman))


def within(interval: rules.Interval, start: datetime, end: datetime) -> timedelta:
    """How much of an interval lies between start and end."""
    return max(min(interval[1], end) - max(interval[0], start), timedelta())


def visits(now: datetime) -> dict[str, int]:
    """How many visits are to be made today and in the coming week, with how many jobs, and how many nobody closed."""
    today = midnight(timezone.localdate(now))
    in_week = Q(starts_at__gte=now, starts_at__lt=now + WEEK)
    numbers = Booking.objects.filter(status=Status.CONFIRMED).aggregate(
        today=Count("pk", filter=Q(starts_at__gte=today, starts_at__lt=midnight(timezone.localdate(now) + DAY))),
        week=Count("pk", filter=in_week),
        first_jobs=Sum("quantity", filter=in_week, default=0),
        unclosed=Count("pk", filter=Q(ends_at__lt=now)),
    )
    coming = Booking.objects.filter(in_week, status=Status.CONFIRMED)
    further = BookingLine.objects.filter(booking__in=coming).aggregate(number=Sum("quantity", default=0))
    return numbers | {"jobs": numbers["first_jobs"] + further["number"]}


def waiting(now: datetime) -> dict[str, Any]:
    """Messages that nobody has answered, and for how long the oldest has waited (hours)."""
    found = ContactMessage.objects.unhandled().aggregate(number=Count("pk"), oldest=Min("created_at"))
    return {"number": found["number"], "hours": (now - found["oldest"]) / HOUR if found["oldest"] else 0}


def cancellations(now: datetime) -> dict[str, int]:
    """Cancellations of the last 30 days (today included) by who called off."""
    rows = (
        cancelled(midnight(timezone.localdate(now) - DAY * (DAYS - 1)))
        .order_by()
        .values("by")
        .annotate(number=Count("pk"))
    )
    return {BookingEvent.By(row["by"]).label: row["number"] for row in rows}
