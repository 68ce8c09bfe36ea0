"""The schedule on a time axis: where visits, windows and hours stand, and the script that moves them."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import brotli  # type: ignore[import-untyped]
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from bookings.admin.axis import Axis, Column, Span
from bookings.models import Booking, Handyman, Holiday, Postcode, Service, TimeOff
from tests import factories, forms

pytestmark = pytest.mark.django_db
DAY = "/admin/bookings/booking/day/"
MONDAY = date(2031, 6, 2)


def at(hour: int, minute: int = 0, day: date = MONDAY) -> datetime:
    return timezone.make_aware(datetime.combine(day, time(hour, minute)))


@pytest.fixture
def service() -> Service:
    return factories.service(name="Tap repair")


@pytest.fixture
def amir(service: Service) -> Handyman:
    return factories.handyman(service, name="Amir Shah", days=range(5), start=time(8, 30))


def shown(client: Client, **asked: str) -> list[Column]:
    axis: Axis = client.get(DAY, {"day": str(MONDAY)} | asked).context["axis"]
    return axis.columns


def test_it_puts_a_visit_its_window_and_the_way_where_they_belong(
    admin_client: Client, service: Service, amir: Handyman
) -> None:
    booking = factories.booking(service=service, handyman=amir, starts_at=at(10))
    booking.take_time(at(10), at(10, 30))
    booking.save()
    (column,) = shown(admin_client)
    (block,) = column.blocks
    assert (block.booking, column.handyman) == (booking, amir)
    assert (block.work, block.window) == (Span(630, 690), Span(600, 660))
    assert block.way == Span(690, 720)
    assert block.work.place == "h10 m30 dh1 dm0"
    assert column.shifts == [Span(510, 1080)]
    page = admin_client.get(DAY, {"day": str(MONDAY)}).content.decode()
    assert f'data-start="{at(8):%Y-%m-%dT}07:00:00Z"' in page, "08:00 of a summer's day, in UTC"
    assert "Promised 10:00-11:00" in page


def test_it_shows_the_way_to_each_visit_and_home_and_marks_what_does_not_fit(
    admin_client: Client, service: Service, amir: Handyman
) -> None:
    home, near, far = "SE15 4QL", "SE1 9PX", "SE28 8AA"
    Postcode.objects.replace_all({home: (51.4708, -0.0648), near: (51.5055, -0.1120), far: (51.5030, 0.1180)})
    Handyman.objects.filter(pk=amir.pk).update(start_postcode=home, end_postcode=home)
    for hour, minute, postcode in ((8, 45, near), (10, 15, far), (13, 0, "ZZ1 1ZZ"), (14, 45, near), (17, 0, far)):
        factories.booking(service=service, handyman=amir, starts_at=at(hour, minute), postcode=postcode)
    (column,) = shown(admin_client)
    legs = [block.leg and block.leg.journey for block in column.blocks]
    assert legs[2:4] == [None, None], "nobody knows the place of the third"
    first, second, _, _, last = legs
    assert first
    assert second
    assert last
    assert column.home
    assert (first.origin, first.destination, first.ends_at) == (home, near, at(8, 45))
    assert timezone.localtime(first.starts_at).time() < time(8, 30), "before his day begins"
    assert first.short == (at(8, 30) - first.starts_at) / timedelta(minutes=1)
    assert (second.ends_at, second.short) == (at(10, 15), second.minutes - 30), "half an hour is left for it"
    assert column.blocks[1].clash == "not reached in time from the visit before"
    assert last.short == 0
    assert (column.home.journey.starts_at, column.home.journey.destination) == (at(18), home)
    assert column.home.journey.short == column.home.journey.minutes, "his day ends at six"
    page = admin_client.get(DAY, {"day": str(MONDAY)}).content.decode()
    assert f"{second.minutes} min" in page
    assert f"{second.short} short" in page
    Booking.objects.update(overtime=True)
    assert not any(block.leg and block.leg.journey.short for block in shown(admin_client)[0].blocks), "was agreed"


def test_it_shows_a_week_of_one_handyman(admin_client: Client, service: Service, amir: Handyman) -> None:
    factories.handyman(service, name="Beth Cole")
    Holiday.objects.create(date=MONDAY + timedelta(days=1), name="Feast")
    TimeOff.objects.create(handyman=amir, starts_at=at(13), ends_at=at(9, day=MONDAY + timedelta(days=2)))
    week = shown(admin_client, day=str(MONDAY + timedelta(days=3)), handyman=str(amir.pk))
    assert [column.day for column in week] == [MONDAY + timedelta(days=n) for n in range(7)]
    assert [column.absences for column in week[:4]] == [[Span(780, 1440)], [Span(0, 1440)], [Span(0, 540)], []]
    assert [bool(column.shifts) for column in week] == [True, False, True, True, True, False, False]
    assert week[1].is_holiday


def test_it_is_as_long_as_the_day_is(admin_client: Client, service: Service, amir: Handyman) -> None:
    factories.booking(service=service, handyman=amir, starts_at=at(22), overtime=True)
    axis = admin_client.get(DAY, {"day": str(MONDAY)}).context["axis"]
    assert (axis.first, axis.last) == (8, 23)
    (column,) = axis.columns
    assert column.blocks[0].clash == "", "overtime was agreed"


@pytest.mark.parametrize("day", [date(2031, 3, 30), date(2031, 10, 26)])
def test_it_goes_by_the_clock_on_the_wall_when_clocks_change(
    admin_client: Client, service: Service, amir: Handyman, day: date
) -> None:
    factories.booking(service=service, handyman=amir, starts_at=at(10, day=day))
    axis = admin_client.get(DAY, {"day": str(day)}).context["axis"]
    assert axis.columns[0].blocks[0].work == Span(600, 660)


def test_what_is_dropped_is_posted_with_its_version_and_the_day_is_shown_again(
    admin_client: Client, service: Service, amir: Handyman
) -> None:
    """What the script posts, and a conflict with a customer who was faster."""
    beth = factories.handyman(service, name="Beth Cole")
    booking = factories.booking(service=service, handyman=beth, starts_at=factories.tomorrow(10))
    day = timezone.localdate(booking.starts_at)
    (block,) = next(column.blocks for column in shown(admin_client, day=str(day)) if column.handyman == beth)
    move = f"/admin/bookings/booking/{booking.pk}/move/"
    there = {hour: f"{factories.tomorrow(hour):%Y-%m-%dT%H:%M:%SZ} {beth.pk}" for hour in (12, 14)}
    drop = {"_shown": block.version, "next": f"{day} {beth.pk}"}
    answer = admin_client.post(move, drop | {"take": there[12]})
    booking.refresh_from_db()
    assert booking.starts_at == factories.tomorrow(12)
    assert answer.headers["Location"] == f"{DAY}?day={day}&handyman={beth.pk}"
    again = admin_client.post(move, drop | {"take": there[14]})
    booking.refresh_from_db()
    assert (again.status_code, booking.starts_at) == (409, factories.tomorrow(12))
    page = forms.posted(again.content)
    assert page["_shown"] != [block.version]


def test_only_who_may_change_visits_is_offered_to_move_them(client: Client, service: Service, amir: Handyman) -> None:
    colleague = factories.handyman(service, name="Carla Canary")
    for person in (amir, colleague):
        factories.booking(service=service, handyman=person, starts_at=at(10))
    user = User.objects.create_user("amir", is_staff=True)
    user.groups.add(Group.objects.get(name="Handymen"))
    Handyman.objects.filter(pk=amir.pk).update(user=user)
    client.force_login(user)
    page = client.get(DAY, {"day": str(MONDAY), "handyman": str(colleague.pk)}).content.decode()
    assert "Amir Shah" in page
    assert "Canary" not in page
    assert "schedule.js" not in page
    assert "data-visit" not in page


@pytest.mark.parametrize("query", ["day=x", "day=9999-12-31", "day=0001-01-01", "handyman=x", "handyman=%00"])
def test_it_answers_any_address(admin_client: Client, query: str) -> None:
    assert admin_client.get(f"{DAY}?{query}").status_code == 400


def test_it_needs_no_more_queries_the_more_there_is(
    admin_client: Client, service: Service, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(8):
        person = factories.handyman(service)
        Booking.objects.bulk_create(
            factories.unsaved_booking(service=service, handyman=person, starts_at=at(hour)) for hour in (8, 10, 12, 14)
        )
    # Session and user, the choices of the form, handymen, visits and their further jobs, hours, days off, holidays.
    with django_assert_max_num_queries(9):
        page = admin_client.get(DAY, {"day": str(MONDAY)})
    assert sum(len(column.blocks) for column in page.context["axis"].columns) == 32


def test_its_script_is_small(static_files: Callable[[], None]) -> None:
    script = (settings.BASE_DIR / "static/build/schedule.js").read_bytes()
    assert len(brotli.compress(script)) <= 8 * 1024
