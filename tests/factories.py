"""Objects for tests: small, valid, different from each other."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from bookings.models import Booking, ContactMessage, Handyman, Quote, QuoteLine, Service, WorkingHours
from bookings.scheduling import Customer

_numbers = count(1)
EVERY_DAY = range(7)


def service(**fields: Any) -> Service:
    """A service of one hour and half an hour's buffer for £60."""
    number = next(_numbers)
    defaults = {"slug": f"service-{number}", "name": f"Service {number}", "summary": "A job.", "price_pence": 6000}
    return Service.objects.create(**defaults | fields)


def handyman(
    *services: Service, days: Iterable[int] = EVERY_DAY, start: time = time(8), end: time = time(18), **fields: Any
) -> Handyman:
    """Somebody who does these services, on these weekdays from start to end."""
    number = next(_numbers)
    made = Handyman.objects.create(**{"slug": f"handyman-{number}", "name": f"Handyman {number}"} | fields)
    made.skills.set(services)
    WorkingHours.objects.bulk_create(WorkingHours(handyman=made, weekday=day, start=start, end=end) for day in days)
    return made


def customer(**fields: Any) -> Customer:
    """Somebody in SE15, each with an address of their own."""
    number = next(_numbers)
    defaults = {
        "customer_name": f"Customer {number}",
        "customer_email": f"customer{number}@example.com",
        "customer_phone": "07700 900123",
        "address": f"{number} Example Street, London",
        "postcode": "SE15 4QL",
    }
    return Customer(**defaults | fields)


def booking(*, service: Service, handyman: Handyman, starts_at: datetime, **fields: Any) -> Booking:
    """A booking as a row alone: no history, no e-mails."""
    made = unsaved_booking(service=service, handyman=handyman, starts_at=starts_at, **fields)
    made.save(force_insert=True)
    return made


def unsaved_booking(*, service: Service, handyman: Handyman, starts_at: datetime, **fields: Any) -> Booking:
    """A booking for bulk_create."""
    who = customer()
    defaults = {name: getattr(who, name) for name in who.__slots__}
    made = Booking(service=service, handyman=handyman, consent_at=starts_at, **defaults | fields)
    made.take_time(starts_at)
    made.take_price()
    return made


def quote(message: ContactMessage, service: Service, **fields: Any) -> Quote:
    """This service once for £140, in answer to a message; holds for nine days."""
    until = timezone.localdate() + timedelta(days=9)
    made = Quote.objects.create(**{"message": message, "valid_until": until, "key": f"quote-{next(_numbers)}"} | fields)
    QuoteLine.objects.create(quote=made, service=service, minutes=90, price_pence=14000)
    return made


def clerk() -> User:
    """Somebody of the office."""
    made = User.objects.create_user("clerk", is_staff=True)
    made.groups.add(Group.objects.get(name="Office"))
    return made


def tomorrow(hour: int = 9, *, days: int = 2) -> datetime:
    """An instant (UTC) some days ahead, on the hour; by default past every notice and change deadline."""
    return datetime.combine(datetime.now(UTC).date() + timedelta(days=days), time(hour), tzinfo=UTC)
