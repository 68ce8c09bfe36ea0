"""Whose turn it is when several handymen are free."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from bookings import scheduling
from bookings.models import Booking, Handyman, Service
from bookings.slots import assignment
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
MONDAY = datetime(2026, 6, 8, 8, tzinfo=UTC)
_forms = count()


@pytest.fixture
def service() -> Service:
    return factories.service()


def book(service: Service, starts_at: datetime, **asked: Any) -> Booking:
    asked |= {"customer": factories.customer(), "idempotency_key": str(next(_forms))}
    return scheduling.book(service=service, starts_at=starts_at, now=NOW + timedelta(minutes=next(_forms)), **asked)


def test_it_gives_equal_handymen_their_turn(service: Service) -> None:
    people = [factories.handyman(service) for _ in range(3)]
    weeks = [MONDAY + timedelta(days=7 * week) for week in range(6)]
    assert [book(service, at).handyman for at in weeks] == [*people, *people]


def test_it_takes_the_fewest_visits_of_the_day_then_of_the_week(service: Service) -> None:
    first, second, third = (factories.handyman(service) for _ in range(3))
    factories.booking(service=service, handyman=first, starts_at=MONDAY + timedelta(hours=5))
    factories.booking(service=service, handyman=second, starts_at=MONDAY + timedelta(days=2))
    factories.booking(service=service, handyman=second, starts_at=MONDAY + timedelta(days=3))
    factories.booking(service=service, handyman=third, starts_at=MONDAY + timedelta(days=3))
    ids = [first.pk, second.pk, third.pk]
    assert assignment.in_turn(ids, MONDAY, NOW) == [third.pk, second.pk, first.pk]


def test_it_counts_no_visit_that_is_off_or_of_another_week(service: Service) -> None:
    first, second = factories.handyman(service), factories.handyman(service)
    factories.booking(service=service, handyman=first, starts_at=MONDAY, status="cancelled")
    factories.booking(service=service, handyman=first, starts_at=MONDAY - timedelta(days=1))
    factories.booking(service=service, handyman=first, starts_at=MONDAY + timedelta(days=7))
    assert assignment.in_turn([second.pk, first.pk], MONDAY, NOW) == [first.pk, second.pk]


def test_it_remembers_a_visit_that_was_cancelled_as_given(service: Service) -> None:
    first, second = factories.handyman(service), factories.handyman(service)
    taken = book(service, MONDAY)
    assert taken.handyman == first
    scheduling.cancel(booking=taken, by=scheduling.By.STAFF)
    assert book(service, MONDAY).handyman == second


def test_it_gives_a_visit_to_the_handyman_asked_for_whoever_s_turn_it_is(service: Service) -> None:
    people = [factories.handyman(service) for _ in range(2)]
    for week in range(2):
        assert book(service, MONDAY + timedelta(days=7 * week), handyman=people[1]).handyman == people[1]
    assert book(service, MONDAY + timedelta(days=14)).handyman == people[0]
    assert Handyman.objects.filter(given_at=None).count() == 0
