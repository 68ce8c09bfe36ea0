"""Moving a visit by the customer's link: which windows are offered, and with whom."""

import re

import pytest
from django.test import Client

from bookings import scheduling
from bookings.models import Booking, Handyman
from bookings.scheduling import By
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


@pytest.fixture
def chosen() -> Booking:
    """A visit with the handyman that its customer asked for; another is free at any time."""
    service = factories.service()
    amara, _ = (factories.handyman(service, name=name) for name in ("Amara Okafor", "Dev Patel"))
    return scheduling.book(
        service=service,
        starts_at=factories.tomorrow(12, days=3),
        handyman=amara,
        customer=factories.customer(),
        idempotency_key="form",
    )


def busy_at(handyman: Handyman, booking: Booking, hour: int) -> str:
    """Give the handyman another visit on the next day; returns the start as the page posts it."""
    at = factories.tomorrow(hour, days=4)
    factories.booking(service=booking.service, handyman=handyman, starts_at=at)
    return at.isoformat()


def test_it_moves_to_the_windows_of_the_handyman_asked_for(client: Client, chosen: Booking) -> None:
    taken = busy_at(chosen.handyman, chosen, 9)
    day = f"?day={factories.tomorrow(9, days=4):%Y-%m-%d}"
    page = client.get(chosen.get_absolute_url() + day).content.decode()
    assert "Amara Okafor, whom you asked for" in page
    assert taken[:16] not in page
    refused = client.post(chosen.get_absolute_url(), {"action": "move", "start": taken})
    assert refused.status_code == 409
    client.post(chosen.get_absolute_url(), {"action": "move", "start": factories.tomorrow(14, days=4).isoformat()})
    chosen.refresh_from_db()
    assert (chosen.handyman.name, chosen.starts_at) == ("Amara Okafor", factories.tomorrow(14, days=4))
    assert chosen.asked_for_handyman


def test_it_gives_another_handyman_only_where_the_customer_takes_anybody(client: Client, chosen: Booking) -> None:
    taken = busy_at(chosen.handyman, chosen, 9)
    page = client.get(chosen.get_absolute_url() + f"?anybody=1&day={taken[:10]}").content.decode()
    assert taken[:16] in page
    assert "?week=" not in page or "&amp;anybody=1" in page, "the choice is kept from week to week"
    assert '<input type="hidden" name="anybody" value="1">' in page
    client.post(chosen.get_absolute_url(), {"action": "move", "start": taken, "anybody": "1"})
    chosen.refresh_from_db()
    assert chosen.handyman.name == "Dev Patel"
    assert not chosen.asked_for_handyman, "they did not ask for him"


def test_it_remembers_a_handyman_whom_the_customer_asks_for_when_moving(chosen: Booking) -> None:
    """As a booking form does that comes again with another handyman."""
    other, at = Handyman.objects.get(name="Dev Patel"), factories.tomorrow(14, days=4)
    moved = scheduling.move(booking=chosen, starts_at=at, handyman=other, by=By.CUSTOMER, anybody=False)
    assert (moved.handyman, moved.asked_for_handyman) == (other, True)


def test_it_lets_staff_give_the_visit_to_somebody_else(chosen: Booking) -> None:
    other = Handyman.objects.get(name="Dev Patel")
    moved = scheduling.move(booking=chosen, starts_at=chosen.starts_at, handyman=other, by=By.STAFF)
    assert (moved.handyman, moved.asked_for_handyman) == (other, False)


def test_it_offers_everybody_s_windows_where_nobody_was_asked_for(client: Client, chosen: Booking) -> None:
    visit = scheduling.book(
        service=chosen.service,
        starts_at=factories.tomorrow(15, days=3),
        customer=factories.customer(),
        idempotency_key="another",
    )
    taken = busy_at(visit.handyman, visit, 9)
    assert "whom you asked for" not in page_of(client, visit)
    client.post(visit.get_absolute_url(), {"action": "move", "start": taken})
    before = visit.handyman
    visit.refresh_from_db()
    assert visit.handyman != before
