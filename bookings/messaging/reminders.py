"""The reminder of the day before. A booking knows when its own is due, so no restart and no lost task can lose it."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from procrastinate.contrib.django import app

from bookings.models import Booking, Status
from bookings.slots import rules

_TIME_OF_DAY = time(9)
_AT_ONCE = 500


def due_at(starts_at: datetime, now: datetime) -> datetime | None:
    """Nine in the morning of the day before a visit; None when that has passed, and no reminder may be promised."""
    zone = ZoneInfo(settings.BUSINESS_TIME_ZONE)
    day_before = starts_at.astimezone(zone).date() - timedelta(days=1)
    at = rules.instant(day_before, _TIME_OF_DAY, zone)
    return at if at > now else None


def hand_over(now: datetime) -> int:
    """Turn the reminders that are due into tasks, each once; returns how many."""
    with transaction.atomic():
        due = Booking.objects.filter(status=Status.CONFIRMED, reminder_at__lte=now)
        bookings = list(due.select_for_update(skip_locked=True, of=("self",)).order_by("reminder_at")[:_AT_ONCE])
        task = app.configure_task(name="send_reminder")
        for booking in bookings:
            task.defer(booking_id=booking.pk, starts_at=booking.starts_at.isoformat())
        Booking.objects.filter(pk__in=[booking.pk for booking in bookings]).update(reminder_at=None)
    return len(bookings)
