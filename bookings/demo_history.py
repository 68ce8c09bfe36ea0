"""The month before: what an invented business did, so that a first visit shows a living one."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bookings import country
from bookings import phone as phones
from bookings.models import Booking, BookingEvent, ContactMessage, Handyman, Holiday, Status
from bookings.slots import calendars, rules

DAYS = 30
"""How far back visits go."""
AHEAD = 6
"""Days to come that have visits already, ever fewer of them."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_FIRST = (
    "Ada",
    "Ben",
    "Chloe",
    "Daniel",
    "Esi",
    "Farid",
    "Gwen",
    "Hugo",
    "Imani",
    "Jack",
    "Keiko",
    "Liam",
    "Maya",
    "Noah",
)
_LAST = ("Example", "Sample", "Pattern", "Placeholder", "Demo")  # so that nobody is taken for a real customer
_STREETS = ("Example Street", "Sample Road", "Pattern Square", "Demo Mews", "Test Lane")
_POSTCODES = ("SE15 4QL", "N1 2AB", "E8 3RT", "SW9 8HG", "NW5 1TT", "W6 7AN", "SE1 7PB", "N16 8JN")
_QUESTIONS = (
    ("quote", "Could you give me a price for six internal doors? They are standard size and I have the handles."),
    ("question", "Do you work on Saturdays in this postcode, and is there somewhere you need to park?"),
    ("booking", "I have booked for next week. The tap is a monobloc, in case that matters for the parts."),
    ("question", "The wall is plasterboard on metal studs. Can it carry a 55 inch television?"),
    ("other", "Thank you for yesterday, the shelves look great. Could I have the invoice by e-mail?"),
)


@dataclass(frozen=True, slots=True)
class _Customer:
    number: int
    name: str
    phone: str
    address: str
    postcode: str


def load(*, now: datetime) -> tuple[int, int]:
    """Add a month of visits and messages to the demo business. Returns how many of each. The same ones every time."""
    chance = random.Random(20)  # noqa: S311  # a seed, and nothing secret
    customers = [_customer(number, chance) for number in range(40)]
    bookings = list(_visits(customers, now, chance))
    Booking.objects.bulk_create(bookings)
    BookingEvent.objects.bulk_create(event for booking in bookings for event in _history(booking, chance))
    messages = list(_messages(customers, now, chance))
    ContactMessage.objects.bulk_create(messages)
    return len(bookings), len(messages)


def _customer(number: int, chance: random.Random) -> _Customer:
    at_home = country.current().code == "GB"
    return _Customer(
        number,
        f"{chance.choice(_FIRST)} {chance.choice(_LAST)}",
        f"07700 900{200 + number}" if at_home else phones.example(),
        f"{chance.randint(1, 99)} {chance.choice(_STREETS)}" + (", London" if at_home else ""),
        chance.choice(_POSTCODES) if at_home else country.current().example,
    )


def _visits(customers: list[_Customer], now: datetime, chance: random.Random) -> Iterator[Booking]:
    """Visits one after another in everybody's hours, as many as a business that is not quite booked out has."""
    zone, today = calendars.current_rules().zone, calendars.current_rules().today(now)
    closed = set(Holiday.objects.values_list("date", flat=True))
    team = list(Handyman.objects.prefetch_related("skills", "working_hours", "bookings"))
    for day in (today + n * _DAY for n in range(-DAYS, AHEAD + 1)):
        wanted = 0.75 if day < today else 0.5 - 0.06 * (day - today).days
        for handyman in team if day not in closed else ():
            # With an hour for the way, from wherever in London.
            taken = [(each.during.lower - _HOUR, each.during.upper + _HOUR) for each in handyman.bookings.all()]
            for shift in handyman.working_hours.all():
                if shift.weekday == day.weekday():
                    begins, ends = (rules.instant(day, at, zone) for at in (shift.start, shift.end))
                    yield from _shift(handyman, begins, ends, wanted, taken, customers, now, chance)


def _shift(
    handyman: Handyman,
    begins: datetime,
    ends: datetime,
    wanted: float,
    taken: list[rules.Interval],
    customers: list[_Customer],
    now: datetime,
    chance: random.Random,
) -> Iterator[Booking]:
    step = calendars.current_rules().step
    at = begins + (calendars.midnight(begins.date()) - begins) % step
    while at < ends:
        service = chance.choice(list(handyman.skills.all()))
        done = at + service.duration
        if chance.random() > wanted or done + calendars.current_rules().window > ends:
            at += step
            continue
        customer = chance.choice(customers)
        made = _made(at, now, chance)
        booking = Booking(
            service=service,
            handyman=handyman,
            customer_name=customer.name,
            customer_email=f"customer{100 + customer.number}@example.com",
            customer_phone=customer.phone,
            address=customer.address,
            postcode=customer.postcode,
            consent_at=made,
            created_at=made,
            proven_at=made,
            idempotency_key=f"demo-{handyman.pk}-{at:%Y%m%d%H%M}",
            status=_status(done, now, chance),
        )
        booking.take_time(at)
        if any(at < end and booking.during.upper > start for start, end in taken):
            at += step
            continue
        booking.take_price()
        yield booking
        at += -(-(service.duration + service.buffer) // step) * step


def _made(at: datetime, now: datetime, chance: random.Random) -> datetime:
    """When it was booked: one to nine days before, when people are awake, and more often in the evening."""
    day = calendars.midnight(at.date() - _DAY * chance.randint(1, 9))
    made = day + timedelta(minutes=chance.choice((chance.randint(450, 1080), chance.randint(1080, 1380))))
    return min(made, at - 5 * _HOUR, now - chance.randint(1, 300) * timedelta(minutes=1))


def _status(done: datetime, now: datetime, chance: random.Random) -> Status:
    off = chance.random()
    if off < 0.07:
        return Status.CANCELLED
    if done > now:
        return Status.CONFIRMED
    return Status.NO_SHOW if off < 0.085 else Status.COMPLETED


def _history(booking: Booking, chance: random.Random) -> Iterator[BookingEvent]:
    kind, by = BookingEvent.Kind, BookingEvent.By
    on_the_phone = chance.random() < 0.2
    yield BookingEvent(
        booking=booking, kind=kind.CREATED, by=by.STAFF if on_the_phone else by.CUSTOMER, at=booking.created_at
    )
    if booking.status == Status.CANCELLED:
        at = booking.created_at + (booking.starts_at - 4 * _HOUR - booking.created_at) * chance.random()
        who = by.CUSTOMER if chance.random() < 0.8 else by.STAFF
        yield BookingEvent(booking=booking, kind=kind.CANCELLED, by=who, at=max(at, booking.created_at))
    elif booking.status in (Status.COMPLETED, Status.NO_SHOW):
        at = booking.ends_at + timedelta(minutes=chance.randint(5, 50))
        yield BookingEvent(booking=booking, kind=kind(booking.status), by=by.STAFF, at=at)


def _messages(customers: list[_Customer], now: datetime, chance: random.Random) -> Iterator[ContactMessage]:
    """One or two a day, answered within hours; the last two wait."""
    at, written = now - timedelta(minutes=40), 0
    while at > now - DAYS * _DAY:
        customer, (topic, body) = chance.choice(customers), chance.choice(_QUESTIONS)
        yield ContactMessage(
            name=customer.name,
            email=f"customer{100 + customer.number}@example.com",
            topic=topic,
            body=body,
            created_at=at,
            handled_at=at + timedelta(minutes=chance.randint(10, 240)) if written >= 2 else None,
        )
        at -= timedelta(minutes=chance.randint(240, 1800))
        written += 1
