"""The demo business's pages in tests: a job that is booked on them, what is typed, and what is read."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from bookings import scheduling
from bookings.models import Booking, Service
from bookings.slots import calendars
from bookings.slots.rules import Slot

DETAILS = "/book/tap-repair/details/"
TYPED = {
    "key": "0123456789abcdef",
    "customer_name": "Robin Example",
    "customer_email": "robin@example.com",
    "customer_phone": "07700 900200",
    "address": "1 Sample Street",
    "postcode": "se1 7pb",
    "notes": "Second bell from the top",
    "consent": "on",
}


def free_slot(service: Service) -> Slot:
    """A free window far enough ahead to be changed by its customer."""
    after = calendars.current_rules().today(timezone.now()) + timedelta(days=3)
    return calendars.next_slots(service=service, after=after)[0]


def booked(service: Service) -> Booking:
    """A visit in that window."""
    customer = scheduling.Customer(**{name: TYPED[name] for name in scheduling.Customer.__dataclass_fields__})
    starts_at = free_slot(service).starts_at
    return scheduling.book(service=service, starts_at=starts_at, customer=customer, idempotency_key="made")


def post(client: Client, typed: dict[str, str], **options: Any) -> Any:
    """Post the details form as it was just shown."""
    return client.post(DETAILS, {"offer": Service.objects.get(slug="tap-repair").offer} | typed, **options)


def iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined, no-any-return]  # the test client's response
