"""How often a booking goes to the database, and what a kept query answers."""

import os
from datetime import datetime

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.kept_query import KeptQuery, together
from bookings.models import Booking, Handyman, Holiday, Status
from bookings.slots import calendars
from telemetry.observe.sql_summary import summarise
from tests import factories
from tests.pages import TYPED, iso

pytestmark = pytest.mark.django_db
MOST, MOST_LOCKED = 16, 8
"""Round trips of a posted booking, with its savepoint; and those of them from the handyman's lock to the end."""


def test_a_posted_booking_goes_to_the_database_a_few_times(client: Client) -> None:
    service = factories.service()
    for _ in range(4):
        factories.handyman(service)
    typed = TYPED | {"offer": service.offer, "start": iso(factories.tomorrow(9))}
    with CaptureQueriesContext(connection) as asked:
        response = client.post(f"/book/{service.slug}/details/", typed | {"key": os.urandom(8).hex()})
    assert response.status_code == 302, response.content.decode()
    assert Booking.objects.get().status == Status.CONFIRMED
    said = [each["sql"] for each in asked]
    locks = next(number for number, sql in enumerate(said) if sql.startswith("UPDATE bookings_handyman"))
    assert len(said) <= MOST, said
    assert len(said[locks:]) <= MOST_LOCKED, said[locks:]


def test_the_question_who_is_free_is_named_after_the_bookings_it_reads() -> None:
    service = factories.service()
    factories.handyman(service)
    with CaptureQueriesContext(connection) as asked:
        calendars.find_slot(service=service, starts_at=factories.tomorrow(9))
    assert [summarise(each["sql"]) for each in asked] == ["SELECT bookings_booking"]


def named(name: str) -> QuerySet[Handyman, tuple[int]]:
    return Handyman.objects.filter(name=name).values_list("pk")


def visits(handyman: int, start: datetime, end: datetime) -> QuerySet[Booking, tuple[int]]:
    return Booking.objects.of(handyman).overlapping(start, end).order_by("pk").values_list("pk")


def test_a_kept_query_answers_for_the_values_it_is_given() -> None:
    service = factories.service()
    people = [factories.handyman(service, name=name) for name in ("stand-in 0", "Jo's 100 %s")]
    at = factories.tomorrow(9), factories.tomorrow(12), factories.tomorrow(15)
    made = [factories.booking(service=service, handyman=person, starts_at=start) for person in people for start in at]
    who, when = KeptQuery(named, str), KeptQuery(visits, int, datetime, datetime)
    for person in people:
        for number, start in enumerate(at):
            found = together((who, (person.name,)), (when, (person.pk, start, start.replace(minute=30))))
            expected = made[number + 3 * people.index(person)]
            assert found == [[(person.pk,)], [(expected.pk,)]]
    assert together((who, ("Unknown",)), (when, (people[0].pk, at[0], at[2]))) == [[], [(made[0].pk,), (made[1].pk,)]]


def test_it_keeps_the_words_and_nothing_that_was_read() -> None:
    days = KeptQuery(lambda: Holiday.objects.values_list("name"))
    assert days.rows() == []
    Holiday.objects.create(date=factories.tomorrow().date(), name="Feast")
    assert days.rows() == [("Feast",)]
