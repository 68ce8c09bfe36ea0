"""Bookings as scheduling makes them in tests, and the tasks that follow."""

from typing import Any

from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling
from bookings.models import Booking
from tests import factories

KEY = "one-form"


def book(**asked: Any) -> Booking:
    """As asked, for a customer and by a form that are always the same kind."""
    defaults: dict[str, Any] = {"customer": factories.customer(), "idempotency_key": KEY}
    return scheduling.book(**defaults | asked)


def jobs() -> list[str]:
    """The names of all tasks that were deferred, in order."""
    return list(ProcrastinateJob.objects.order_by("id").values_list("task_name", flat=True))
