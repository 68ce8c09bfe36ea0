"""How a visit ends: what may be recorded, and when."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from bookings import scheduling
from bookings.models import Booking, Status
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def visit() -> Booking:
    """One that is a few days ahead."""
    service = factories.service()
    return factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(9))


def begun(visit: Booking) -> datetime:
    return visit.starts_at + timedelta(minutes=1)


def test_it_records_how_a_visit_ended(visit: Booking) -> None:
    assert scheduling.complete(booking=visit, now=begun(visit)).status == Status.COMPLETED
    missed = scheduling.no_show(booking=visit, now=begun(visit))
    assert missed.status == Status.NO_SHOW
    with pytest.raises(scheduling.NotPossible):
        scheduling.complete(booking=missed, now=begun(visit))


@pytest.mark.parametrize("end", [scheduling.complete, scheduling.no_show])
def test_it_ends_no_visit_that_has_not_begun(visit: Booking, end: object) -> None:
    with pytest.raises(scheduling.TooEarly):
        end(booking=visit, now=visit.starts_at - timedelta(seconds=1))  # type: ignore[operator] # one of the two
    visit.refresh_from_db()
    assert visit.status == Status.CONFIRMED
    assert not visit.events.exists()


def test_it_writes_the_history_by_the_clock_of_the_business(visit: Booking) -> None:
    before = timezone.localtime(visit.starts_at)
    moved = scheduling.move(booking=visit, starts_at=factories.tomorrow(12), by=scheduling.By.STAFF)
    assert moved.events.get().note == f"from {before:%a %d %b %Y %H:%M} with {visit.handyman.name}"
