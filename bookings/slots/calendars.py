"""The questions asked of the diary: at most two round trips, however many bookings there are."""

from collections import defaultdict
from datetime import date, datetime, time, timedelta

from django.utils import timezone

from bookings.basket import Work
from bookings.models import Booking, Handyman, Service
from bookings.slots import rules
from bookings.slots.reader import ANYWHERE as ANYWHERE
from bookings.slots.reader import CHUNK
from bookings.slots.reader import Reader as Reader
from bookings.slots.reader import current_rules as current_rules
from bookings.slots.reader import staff_rules as staff_rules
from bookings.slots.reader import travel as travel
from bookings.slots.rules import Calendar, Diary, Job, Reason, Rules, Shift, Slot

_DAY = timedelta(days=1)


def midnight(day: date) -> datetime:
    """The instant at which a day of the business begins."""
    return timezone.make_aware(datetime.combine(day, time.min))


def impossible(*, now: datetime | None = None) -> list[Service]:
    """Active services that nobody can be booked for: no active handyman does them, or works long enough. One query."""
    by_rules, now = current_rules(), now or timezone.now()
    shift_of = "handymen__working_hours__"
    rows = Service.objects.active().values_list(
        "pk",
        "name",
        "duration_minutes",
        "buffer_minutes",
        "handymen__active",
        "handymen__pk",
        f"{shift_of}weekday",
        f"{shift_of}start",
        f"{shift_of}end",
    )
    services: dict[int, Service] = {}
    shifts: dict[int, dict[int, list[Shift]]] = defaultdict(lambda: defaultdict(list))
    for pk, name, duration, buffer, active, handyman_id, *shift in rows:
        services[pk] = Service(pk=pk, name=name, duration_minutes=duration, buffer_minutes=buffer)
        if active and None not in shift:
            shifts[pk][handyman_id].append(Shift(*shift))

    def can_be_done(service: Service) -> bool:
        calendars = [Calendar(pk, theirs) for pk, theirs in shifts[service.pk].items()]
        job = Job(service.duration, service.buffer)
        return rules.is_ever_possible(calendars, rules=by_rules, job=job, now=now)

    return [each for each in services.values() if not can_be_done(each)]


def load(*, first: date, last: date, now: datetime) -> Diary:
    """Everybody's time from `first` to the end of `last` (local days), one round trip."""
    return Reader(now=now).diary(first, last)


def free_slots(
    *,
    service: Work,
    first: date,
    last: date,
    handyman: Handyman | None = None,
    now: datetime | None = None,
    ignoring: Booking | None = None,
    postcode: str | None = ANYWHERE,
) -> list[Slot]:
    """The slots of a service from `first` to `last` (local days, inclusive), in order. One round trip."""
    now = now or timezone.now()
    reader = Reader(now=now, service=service, handyman=handyman, ignoring=ignoring, postcode=postcode)
    return reader.slots(first, last)


def find_slot(
    *,
    service: Work,
    starts_at: datetime,
    handyman: Handyman | None = None,
    now: datetime | None = None,
    ignoring: Booking | None = None,
    by_rules: Rules | None = None,
    overtime: bool = False,
    postcode: str | None = ANYWHERE,
) -> Slot | Reason:
    """The free slot of a service that starts at this instant, or the reason why there is none. One round trip.

    With `overtime` one that is too far, if there is no other.
    """
    reader = Reader(
        now=now or timezone.now(),
        service=service,
        handyman=handyman,
        ignoring=ignoring,
        by_rules=by_rules,
        overtime=overtime,
        postcode=postcode,
    )
    return reader.find_slot(starts_at)


def next_slots(
    *,
    service: Work,
    limit: int = 1,
    after: date | None = None,
    handyman: Handyman | None = None,
    now: datetime | None = None,
    postcode: str | None = ANYWHERE,
) -> list[Slot]:
    """The first free slots from a local day on, never beyond the horizon. At most two round trips."""
    reader = Reader(now=now or timezone.now(), service=service, handyman=handyman, postcode=postcode)
    return reader.next_slots(after, limit)


def nearest_slots(
    *,
    service: Work,
    starts_at: datetime,
    limit: int = 6,
    handyman: Handyman | None = None,
    now: datetime | None = None,
    ignoring: Booking | None = None,
    postcode: str | None = ANYWHERE,
) -> list[Slot]:
    """The free slots closest to an instant that cannot be had, in order; another handyman's if one has none near."""
    now = now or timezone.now()
    reader = Reader(now=now, service=service, handyman=handyman, ignoring=ignoring, postcode=postcode)
    today, horizon = reader.rules.today(now), reader.rules.last_day(now)
    day = min(max(starts_at.astimezone(reader.rules.zone).date(), today), horizon)
    near = reader.slots(day - CHUNK / 4, day + CHUNK / 2)
    if not near and handyman is not None:
        return nearest_slots(
            service=service, starts_at=starts_at, limit=limit, now=now, ignoring=ignoring, postcode=postcode
        )
    if not near:
        return reader.next_slots(day, limit)
    closest = sorted(near, key=lambda slot: abs(slot.starts_at - starts_at))[:limit]
    return sorted(closest, key=lambda slot: slot.starts_at)
