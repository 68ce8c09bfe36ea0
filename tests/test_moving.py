"""Moving a visit by the customer's link: which windows are offered, and with whom."""

import re

import pytest
from django.test import Client

from bookings.models import Booking
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking() -> Booking:
    service = factories.service()
    return factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(12))


def page_of(client: Client, booking: Booking) -> str:
    return client.get(booking.get_absolute_url()).content.decode()


def test_it_counts_as_many_windows_as_it_offers(client: Client, booking: Booking) -> None:
    page = page_of(client, booking)
    current = re.search(r'aria-current="date">.*?</a>', page, re.DOTALL)
    assert current is not None
    counted = re.search(r"(\d+) free window", current.group())
    buttons = page.count('<button name="start"')
    assert counted is not None
    assert int(counted.group(1)) == buttons > 0
