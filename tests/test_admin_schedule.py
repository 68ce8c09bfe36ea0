"""The week at a glance."""

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from bookings.models import Booking, Handyman, Holiday, Service, Status, TimeOff
from tests import factories

pytestmark = pytest.mark.django_db
SCHEDULE = "/admin/bookings/booking/schedule/"
MONDAY = date(2031, 6, 2)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return timezone.make_aware(datetime.combine(day, time(hour, minute)))


@pytest.fixture
def service() -> Service:
    return factories.service(name="Tap repair")


@pytest.fixture
def amir(service: Service) -> Handyman:
    return factories.handyman(service, name="Amir Shah", days=range(5))


def cell(response: Any, day: date, person: Handyman) -> Any:
    (row,) = [row for row in response.context["rows"] if row.day == day]
    (found,) = [cell for cell in row.cells if cell.handyman == person]
    return found


def test_it_shows_a_visit_where_it_belongs(admin_client: Client, service: Service, amir: Handyman) -> None:
    beth = factories.handyman(service, name="Beth Cole")
    booking = factories.booking(service=service, handyman=amir, starts_at=at(MONDAY + timedelta(days=2), 9, 30))
    response = admin_client.get(SCHEDULE, {"day": "2031-06-08"})
    (visit,) = cell(response, MONDAY + timedelta(days=2), amir).visits
    assert visit.booking == booking
    assert not cell(response, MONDAY + timedelta(days=2), beth).visits
    page = response.content.decode()
    for fact in ("09:30-10:30", "Tap repair", booking.customer_name, booking.postcode, "2 June to 8 June 2031"):
        assert fact in page
    assert f"/admin/bookings/booking/{booking.pk}/change/" in page
    assert "?day=2031-05-26" in page
    assert "?day=2031-06-09" in page


@pytest.mark.parametrize(("status", "shown"), [("completed", 1), ("no_show", 1), ("cancelled", 0)])
def test_it_leaves_out_what_is_off(
    admin_client: Client, service: Service, amir: Handyman, status: Status, shown: int
) -> None:
    factories.booking(service=service, handyman=amir, starts_at=at(MONDAY, 9), status=status)
    assert admin_client.get(SCHEDULE, {"day": str(MONDAY)}).context["visits"] == shown


def test_it_leaves_out_a_hold_that_has_run_out(admin_client: Client, service: Service, amir: Handyman) -> None:
    for hour, minutes in ((9, -1), (12, 10)):
        expires = timezone.now() + timedelta(minutes=minutes)
        start = at(MONDAY, hour)
        factories.booking(service=service, handyman=amir, starts_at=start, status="held", hold_expires_at=expires)
    response = admin_client.get(SCHEDULE, {"day": str(MONDAY)})
    assert [visit.booking.starts_at for visit in cell(response, MONDAY, amir).visits] == [at(MONDAY, 12)]


def test_it_marks_today(admin_client: Client, amir: Handyman) -> None:
    (today,) = [row.day for row in admin_client.get(SCHEDULE).context["rows"] if row.today]
    assert today == timezone.localdate()
    assert not any(row.today for row in admin_client.get(SCHEDULE, {"day": str(MONDAY)}).context["rows"])


def test_it_books_no_day_that_has_passed(admin_client: Client, service: Service) -> None:
    person = factories.handyman(service)
    today = timezone.localdate()
    page = "".join(admin_client.get(SCHEDULE, {"day": str(today - timedelta(days=n))}).content.decode() for n in (0, 7))
    offered = {
        today + timedelta(days=n): f"?day={today + timedelta(days=n)}&amp;who={person.pk}" in page for n in (-7, -1, 0)
    }
    assert offered == {today - timedelta(days=7): False, today - timedelta(days=1): False, today: True}


def test_it_shows_time_off_as_it_falls_on_each_day_and_what_clashes(
    admin_client: Client, service: Service, amir: Handyman
) -> None:
    TimeOff.objects.create(handyman=amir, starts_at=at(MONDAY, 13), ends_at=at(MONDAY + timedelta(days=2), 10))
    before = factories.booking(service=service, handyman=amir, starts_at=at(MONDAY, 11))
    within = factories.booking(service=service, handyman=amir, starts_at=at(MONDAY + timedelta(days=1), 9))
    response = admin_client.get(SCHEDULE, {"day": str(MONDAY)})
    days = [cell(response, MONDAY + timedelta(days=offset), amir) for offset in range(4)]
    assert [[absence.when for absence in day.absences] for day in days] == [
        ["from 13:00"],
        ["all day"],
        ["until 10:00"],
        [],
    ]
    clashes = {visit.booking: visit.clash for day in days for visit in day.visits}
    assert clashes == {before: "", within: "time off"}
    assert "1 visit that cannot be kept: move or cancel" in response.content.decode()


def test_it_shows_holidays_and_days_off(admin_client: Client, service: Service, amir: Handyman) -> None:
    Holiday.objects.create(date=MONDAY, name="Spring bank holiday")
    factories.booking(service=service, handyman=amir, starts_at=at(MONDAY, 9))
    response = admin_client.get(SCHEDULE, {"day": str(MONDAY)})
    assert "Spring bank holiday" in response.content.decode()
    assert cell(response, MONDAY, amir).visits[0].clash == "holiday"
    assert not cell(response, MONDAY, amir).works
    assert cell(response, MONDAY + timedelta(days=1), amir).works
    assert not cell(response, MONDAY + timedelta(days=6), amir).works


def test_it_shows_one_handyman_with_what_is_needed_on_the_road(
    admin_client: Client, service: Service, amir: Handyman
) -> None:
    beth = factories.handyman(service, name="Beth Cole")
    booking = factories.booking(service=service, handyman=amir, starts_at=at(MONDAY, 9), notes="Mind the dog")
    factories.booking(service=service, handyman=beth, starts_at=at(MONDAY, 9))
    response = admin_client.get(SCHEDULE, {"day": str(MONDAY), "handyman": str(amir.pk)})
    assert response.context["handymen"] == [amir]
    assert response.context["visits"] == 1
    for fact in (booking.address, booking.customer_phone, "Mind the dog"):
        assert fact in response.content.decode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda amir: Handyman.objects.update(active=False), "no longer works here"),
        (lambda amir: amir.skills.clear(), "does not do this job"),
        (lambda amir: amir.working_hours.update(end=time(11)), "outside working hours"),
        (lambda amir: amir.working_hours.all().delete(), "outside working hours"),
        (lambda amir: off(amir, 11, 12), "time off"),
        (lambda amir: off(amir, 12, 13), ""),
        (lambda amir: amir.working_hours.update(end=time(12)), ""),
    ],
)
def test_it_marks_visits_whose_promise_cannot_be_kept_any_more(
    admin_client: Client, service: Service, amir: Handyman, change: Any, reason: str
) -> None:
    """Arrival from ten to eleven and an hour of work: it is the latest arrival that must fit."""
    factories.booking(service=service, handyman=amir, starts_at=at(MONDAY, 10))
    change(amir)
    response = admin_client.get(SCHEDULE, {"day": str(MONDAY)})
    assert cell(response, MONDAY, amir).visits[0].clash == reason
    assert (f"Clash: {reason}" in response.content.decode()) == bool(reason)


def off(person: Handyman, start: int, end: int) -> None:
    TimeOff.objects.create(handyman=person, starts_at=at(MONDAY, start), ends_at=at(MONDAY, end))


def test_it_keeps_the_visits_of_who_has_left(admin_client: Client, service: Service, amir: Handyman) -> None:
    factories.booking(service=service, handyman=amir, starts_at=at(MONDAY, 9))
    Handyman.objects.update(active=False)
    assert admin_client.get(SCHEDULE, {"day": str(MONDAY)}).context["handymen"] == [amir]
    assert admin_client.get(SCHEDULE, {"day": str(MONDAY + timedelta(days=7))}).context["handymen"] == []


@pytest.mark.parametrize(("day", "hour"), [(date(2031, 3, 30), 8), (date(2031, 10, 26), 23)])
def test_it_puts_visits_on_their_local_day_when_clocks_change(
    admin_client: Client, service: Service, amir: Handyman, day: date, hour: int
) -> None:
    factories.booking(service=service, handyman=amir, starts_at=at(day, hour))
    response = admin_client.get(SCHEDULE, {"day": str(day)})
    assert len(cell(response, day, amir).visits) == 1
    assert response.context["visits"] == 1


def test_it_reads_a_week_in_as_many_queries_however_full_it_is(
    admin_client: Client, service: Service, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(8):
        person = factories.handyman(service)
        rows = [
            factories.unsaved_booking(
                service=service, handyman=person, starts_at=at(MONDAY + timedelta(days=day), hour)
            )
            for day in range(5)
            for hour in (8, 10, 12, 14)
        ]
        Booking.objects.bulk_create(rows)
        TimeOff.objects.create(handyman=person, starts_at=at(MONDAY, 9), ends_at=at(MONDAY, 12))
    # Session and user, five of the schedule, the further jobs of visits, and the choices of the form.
    with django_assert_max_num_queries(9):
        response = admin_client.get(SCHEDULE, {"day": str(MONDAY)})
    assert response.context["visits"] == 160
