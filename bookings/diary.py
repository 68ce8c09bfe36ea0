"""The diary as the database has it, and the questions asked of it. Four queries, however many bookings there are."""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from . import availability
from .availability import Calendar, Diary, Reason, Rules, Shift, Slot
from .models import Booking, Handyman, Holiday, Service, TimeOff, WorkingHours

_DAY = timedelta(days=1)
_CHUNK = 14 * _DAY


def rules() -> Rules:
    """The rules of booking online, from the settings."""
    window = timedelta(minutes=settings.ARRIVAL_WINDOW_MINUTES)
    return Rules(
        zone=ZoneInfo(settings.BUSINESS_TIME_ZONE),
        step=window,
        window=window,
        notice=timedelta(hours=settings.BOOKING_NOTICE_HOURS),
        horizon_days=settings.BOOKING_HORIZON_DAYS,
    )


def load(
    *,
    first: date,
    last: date,
    now: datetime,
    service: Service | None = None,
    handyman: Handyman | None = None,
    ignoring: Booking | None = None,
) -> Diary:
    """Everybody's time from `first` to the end of a job begun on `last` (local days), at most four queries.

    Only handymen who do `service`, and only `handyman`, when given. `ignoring` is a booking about to be moved.
    """
    zone = ZoneInfo(settings.BUSINESS_TIME_ZONE)
    start = availability.instant(first, time(), zone)
    last += (service.duration + service.buffer if service else timedelta()) // _DAY * _DAY + _DAY
    end = availability.instant(last + _DAY, time(), zone)

    hours = WorkingHours.objects.filter(handyman__active=True)
    if service is not None:
        hours = hours.filter(handyman__skills=service)
    if handyman is not None:
        hours = hours.filter(handyman=handyman)
    shifts: dict[int, list[Shift]] = defaultdict(list)
    for handyman_id, weekday, opens, closes in hours.values_list("handyman_id", "weekday", "start", "end"):
        shifts[handyman_id].append(Shift(weekday, opens, closes))

    booked: dict[int, list[availability.Interval]] = defaultdict(list)
    bookings = Booking.objects.occupying(now).overlapping(start, end).filter(handyman__in=list(shifts))
    if ignoring is not None:
        bookings = bookings.exclude(pk=ignoring.pk)
    for handyman_id, during in bookings.order_by().values_list("handyman_id", "during"):
        booked[handyman_id].append((during.lower.astimezone(UTC), during.upper.astimezone(UTC)))

    off: dict[int, list[availability.Interval]] = defaultdict(list)
    time_off = TimeOff.objects.overlapping(start, end).filter(handyman__in=list(shifts))
    for handyman_id, starts_at, ends_at in time_off.order_by().values_list("handyman_id", "starts_at", "ends_at"):
        off[handyman_id].append((starts_at, ends_at))

    holidays = Holiday.objects.filter(date__range=(first, last)).values_list("date", flat=True)
    calendars = [Calendar(pk, shifts[pk], off[pk], booked[pk]) for pk in sorted(shifts)]
    return Diary(calendars, frozenset(holidays))


def free_slots(
    *,
    service: Service,
    first: date,
    last: date,
    handyman: Handyman | None = None,
    now: datetime | None = None,
    ignoring: Booking | None = None,
    by_rules: Rules | None = None,
) -> list[Slot]:
    """The slots of a service from `first` to `last` (local days, inclusive), in order. At most four queries."""
    now = now or timezone.now()
    by_rules = by_rules or rules()
    first, last = max(first, by_rules.today(now)), min(last, by_rules.last_day(now))
    if last < first:
        return []
    diary = load(first=first, last=last, now=now, service=service, handyman=handyman, ignoring=ignoring)
    return availability.free_slots(
        diary, rules=by_rules, occupied=service.duration + service.buffer, first=first, last=last, now=now
    )


def find_slot(
    *,
    service: Service,
    starts_at: datetime,
    handyman: Handyman | None = None,
    now: datetime | None = None,
    ignoring: Booking | None = None,
    by_rules: Rules | None = None,
) -> Slot | Reason:
    """The free slot of a service that starts at this instant, or the reason why there is none."""
    now = now or timezone.now()
    by_rules = by_rules or rules()
    day = starts_at.astimezone(by_rules.zone).date()
    diary = load(first=day, last=day, now=now, service=service, handyman=handyman, ignoring=ignoring)
    return availability.find_slot(
        diary, rules=by_rules, occupied=service.duration + service.buffer, starts_at=starts_at, now=now
    )


def next_slots(
    *,
    service: Service,
    limit: int = 1,
    after: date | None = None,
    handyman: Handyman | None = None,
    now: datetime | None = None,
    ignoring: Booking | None = None,
) -> list[Slot]:
    """The first free slots from a local day on. Looks a fortnight at a time and never beyond the horizon."""
    now = now or timezone.now()
    by_rules = rules()
    first, found = max(after or by_rules.today(now), by_rules.today(now)), list[Slot]()
    while len(found) < limit and first <= by_rules.last_day(now):
        last = first + _CHUNK - _DAY
        found += free_slots(service=service, first=first, last=last, handyman=handyman, now=now, ignoring=ignoring)
        first += _CHUNK
    return found[:limit]


def nearest_slots(
    *,
    service: Service,
    starts_at: datetime,
    limit: int = 6,
    handyman: Handyman | None = None,
    now: datetime | None = None,
    ignoring: Booking | None = None,
) -> list[Slot]:
    """The free slots closest to an instant that cannot be had, in order; another handyman's if one has none near."""
    now = now or timezone.now()
    by_rules = rules()
    day = min(max(starts_at.astimezone(by_rules.zone).date(), by_rules.today(now)), by_rules.last_day(now))
    first, last = day - _CHUNK / 4, day + _CHUNK / 2
    near = free_slots(service=service, first=first, last=last, handyman=handyman, now=now, ignoring=ignoring)
    if not near and handyman is not None:
        return nearest_slots(service=service, starts_at=starts_at, limit=limit, now=now, ignoring=ignoring)
    if not near:
        return next_slots(service=service, limit=limit, after=day, now=now, ignoring=ignoring)
    closest = sorted(near, key=lambda slot: abs(slot.starts_at - starts_at))[:limit]
    return sorted(closest, key=lambda slot: slot.starts_at)
