"""The month behind the demo business: believable, the same every time, and in nobody's way."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models import Count
from django.utils import timezone

from bookings.models import Booking, BookingEvent, ContactMessage, Notification, Status
from telemetry.models import IncidentRecord, RumDaily

pytestmark = pytest.mark.django_db


def test_a_first_visit_shows_a_living_business() -> None:
    call_command("demo", verbosity=0)
    now = timezone.now()
    past = Booking.objects.filter(ends_at__lt=now)
    assert 100 < past.count() < 400
    assert not past.filter(status=Status.CONFIRMED).exists(), "what is over was carried out, or was not"
    assert not Booking.objects.exclude(pk__in=past).filter(status=Status.COMPLETED).exists()
    assert Booking.objects.annotate(number=Count("events")).filter(number=0).count() == 0
    assert BookingEvent.objects.filter(at__gt=now, kind=BookingEvent.Kind.CREATED).count() == 0
    assert ContactMessage.objects.unhandled().count() == 2
    assert not Notification.objects.exists(), "nobody is told of visits that nobody asked for"
    assert RumDaily.objects.filter(day__gte=now.date() - timedelta(days=29)).values("day").distinct().count() == 30
    assert all(incident.sentence.startswith("Demo: ") for incident in IncidentRecord.objects.all())


def test_empty_leaves_the_month_out() -> None:
    call_command("demo", empty=True, verbosity=0)
    assert Booking.objects.count() == 5
    assert not RumDaily.objects.exists()
    assert not IncidentRecord.objects.exists()
