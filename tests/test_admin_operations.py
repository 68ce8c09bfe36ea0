"""The operations page: figures that are right, from the database alone, in no time."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from bookings import scheduling
from bookings.models import Booking, BookingEvent, ContactMessage, Holiday, TimeOff
from telemetry.diagnosis import incidents
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.model import Cause, Incident, Symptom
from telemetry.models import RumDaily, RumSample
from telemetry.rum.models import bucket
from tests import factories
from xfhandyman.operations import business, site
from xfhandyman.operations.charts import BarChart, Point

pytestmark = pytest.mark.django_db
PAGE = "/admin/operations/"
STAFF = BookingEvent.By.STAFF


@pytest.fixture
def visit() -> Booking:
    service = factories.service()
    factories.handyman(service)
    when = factories.tomorrow(11)
    return scheduling.book(service=service, starts_at=when, customer=factories.customer(), idempotency_key="one")


def event(booking: Booking, kind: str, at: datetime, by: str = "customer") -> BookingEvent:
    return BookingEvent.objects.create(booking=booking, kind=kind, at=at, by=by)


def test_it_opens_to_who_may_see_it_alone(client: Client) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    assert client.get(PAGE).status_code == 302
    client.force_login(clerk)
    assert client.get(PAGE).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_operations"))
    response = client.get(PAGE)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert client.post(PAGE).status_code == 405


def by_hour(now: datetime) -> BarChart:
    return business.by_hour("h", "Bookings", "bookings", business.made, now)


def test_it_counts_bookings_by_local_hour_and_day(visit: Booking) -> None:
    BookingEvent.objects.all().delete()
    now = datetime(2031, 6, 2, 10, 30, tzinfo=UTC)  # 11:30 in London
    for at in (now, now - timedelta(minutes=31), now - timedelta(hours=11), now - timedelta(hours=12)):
        event(visit, "created", at)
    event(visit, "held", now)
    hours = {point.label: point.value for point in by_hour(now).points}
    assert len(hours) == 24
    assert {label: value for label, value in hours.items() if value} == {
        "Mon 11:00": 1, "Mon 10:00": 1, "Mon 00:00": 1, "Sun 23:00": 1
    }  # fmt: skip
    days = business.by_day("d", "Days", "bookings", business.made, now).points
    assert [(point.label, point.value) for point in days[-2:]] == [("Sun 01 Jun", 1), ("Mon 02 Jun", 3)]
    assert len(days) == 30


@pytest.mark.parametrize("day", [date(2031, 3, 30), date(2031, 10, 26)])
def test_it_counts_every_booking_when_clocks_change(visit: Booking, day: date) -> None:
    BookingEvent.objects.all().delete()
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    for hour in range(22):
        event(visit, "created", noon - timedelta(hours=hour))
    assert by_hour(noon).total == 22
    assert business.by_day("d", "Days", "bookings", business.made, noon).total == 22


def test_it_tells_cancellations_by_who_called_off(visit: Booking, admin_client: Client) -> None:
    scheduling.cancel(booking=visit, by=STAFF)
    assert business.cancellations(timezone.now()) == {"Staff": 1}
    page = admin_client.get(PAGE).content.decode()
    assert "1 by staff" in page


def test_it_measures_the_coming_week_against_the_hours_at_work(visit: Booking) -> None:
    now = timezone.now()
    (load,) = business.coming_week(now)
    assert (load.at_work, load.booked) == (70.0, 1.5)  # ten hours a day; an hour and its buffer
    off = timezone.localtime(now) + timedelta(days=3)
    Holiday.objects.create(date=off.date(), name="Founders' day")
    day = off.replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=1)
    TimeOff.objects.create(handyman=visit.handyman, starts_at=day, ends_at=day + timedelta(hours=4))
    (load,) = business.coming_week(now)
    assert load.at_work == 56.0


def test_it_tells_who_waits(admin_client: Client) -> None:
    for hours, spam in ((5, False), (2, False), (90, True)):
        ContactMessage.objects.create(
            name="W", email="w@example.com", body="?", suspected_spam=spam, created_at=ago(hours)
        )
    found = business.waiting(timezone.now())
    assert (found["number"], round(found["hours"])) == (2, 5)
    assert "oldest 5 h" in admin_client.get(PAGE).content.decode()


def ago(hours: float) -> datetime:
    return timezone.now() - timedelta(hours=hours)


def distribution(route: str, vital: str, values: dict[float, int], device: str = "mobile", days: int = 0) -> None:
    day = timezone.now().astimezone(UTC).date() - timedelta(days=days)
    RumDaily.objects.bulk_create(
        RumDaily(day=day, route=route, device=device, vital=vital, bucket=bucket(value), count=number)
        for value, number in values.items()
    )


def test_it_rates_pages_by_their_p75_on_each_kind_of_device(admin_client: Client) -> None:
    distribution("/quick/", "lcp", {1.0: 90, 9.0: 10})
    distribution("/slow/", "lcp", {1.5: 60}, "desktop")
    distribution("/slow/", "lcp", {5.0: 40})
    distribution("/slow/", "cls", {0.0: 40})
    found = site.pages(timezone.now())
    assert [(page.route, page.device) for page in found] == [
        ("/slow/", "phone"), ("/slow/", "desktop"), ("/quick/", "phone")
    ]  # fmt: skip
    slow, _, quick = found
    assert slow.vitals[0] is not None
    assert slow.vitals[0].rating == "poor"
    assert slow.vitals[0].p75 == pytest.approx(5.0, rel=0.05)
    assert slow.vitals[0].count == 40
    assert slow.vitals[2] is not None
    assert (slow.vitals[2].rating, slow.vitals[2].text) == ("good", "0.00")
    assert slow.vitals[1] is None
    assert quick.vitals[0] is not None
    assert quick.vitals[0].rating == "good"
    assert "/slow/" in admin_client.get(PAGE).content.decode()


def test_it_shows_the_trend_of_a_vital_against_the_week_before() -> None:
    distribution("/better/", "lcp", {2.0: 50}, days=8)
    distribution("/better/", "lcp", {1.0: 50})
    distribution("/same/", "lcp", {0.9: 50}, days=13)
    distribution("/same/", "lcp", {0.9: 50}, days=6)
    distribution("/gone/", "lcp", {0.8: 50}, days=8)
    distribution("/old/", "lcp", {0.8: 50}, days=14)
    found = {page.route: page.vitals[0] for page in site.pages(timezone.now())}
    assert {route: vital and vital.trend for route, vital in found.items()} == {"/better/": "52 % better", "/same/": ""}


def test_it_counts_messages_by_hour_without_spam() -> None:
    for spam in (False, True):
        ContactMessage.objects.create(
            name="W", email="w@example.com", body="?", suspected_spam=spam, created_at=ago(1.5)
        )
    chart = business.by_hour("m", "Messages", "messages", business.written, timezone.now(), at="created_at")
    assert chart.total == 1


def test_it_lists_script_errors_of_the_last_day() -> None:
    blank: dict[str, Any] = {"device": "mobile", "navigation": "navigate", "release": "r", "trace_id": "", "part": 0}
    for hours, errors in ((1, 2), (2, 1), (3, 0), (30, 5)):
        RumSample.objects.create(received_at=ago(hours), route="/book/", js_errors=errors, **blank)
    assert site.js_errors(timezone.now()) == [{"route": "/book/", "errors": 3, "views": 2}]


def test_it_counts_page_views_by_hour_page_and_device(client: Client) -> None:
    blank: dict[str, Any] = {"navigation": "navigate", "release": "r", "trace_id": "", "js_errors": 0}
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for at, route, device, part in (
        (hour, "/", "mobile", 0),
        (hour, "/", "mobile", 0),
        (hour, "/", "mobile", 1),  # more of the same view
        (hour, "/", "desktop", 0),
        (hour - timedelta(hours=30), "/book/<slug>/", "mobile", 0),
        (hour - timedelta(days=8), "/", "mobile", 0),
    ):
        RumSample.objects.create(received_at=at, route=route, device=device, part=part, **blank)
    clerk = User.objects.create_user("clerk", is_staff=True)
    client.force_login(clerk)
    assert client.get(f"{PAGE}page-views.csv").status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_operations"))
    assert f"{PAGE}page-views.csv" in client.get(PAGE).content.decode()
    assert client.get(f"{PAGE}page-views.csv").content.decode().splitlines() == [
        "hour,page,device,views",
        f"{(hour - timedelta(hours=30)).isoformat()},/book/<slug>/,phone,1",
        f"{hour.isoformat()},/,desktop,1",
        f"{hour.isoformat()},/,phone,2",
    ]


def test_it_says_what_is_wrong_in_the_words_of_the_incident(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "The database pool is exhausted because of high latency in the `SELECT bookings_booking` query"
    board = Board(None)
    monkeypatch.setattr(incidents, "board", lambda: board)
    assert "Nothing is wrong right now" in admin_client.get(PAGE).content.decode()
    began = time.time()
    cause = Cause("query", "SELECT bookings_booking", "duration")
    board.show([Incident("1", Symptom("pool_exhausted"), cause, began, began, sentence)])
    assert sentence in admin_client.get(PAGE).content.decode()


def test_it_says_when_nobody_runs_the_tasks(visit: Booking) -> None:
    now = timezone.now()
    found = site.tasks(now)
    assert found.due >= 1, "the confirmation waits in the outbox"
    assert site.wrong_now(found, now) == []
    later = now + timedelta(hours=1)
    assert "the oldest for 60 minutes" in site.wrong_now(site.tasks(later), later)[-1]


@pytest.mark.parametrize(("most", "top"), [(0, 2), (1, 2), (3, 4), (5, 10), (10, 10), (11, 20), (100, 100), (101, 200)])
def test_it_draws_every_bar_within_a_scale_of_whole_numbers(most: int, top: int) -> None:
    chart = BarChart("c", "Chart", "things", [Point("a", "a", most), Point("b", "", 0)])
    assert chart.top == top
    assert [line.value for line in chart.lines] == [0, top // 2, top]
    full, empty = chart.bars
    assert full.height == pytest.approx(most / top * (chart.base - chart.lines[-1].y), abs=0.2)
    assert empty.height == 0


YEAR = """
INSERT INTO bookings_bookingevent (booking_id, kind, by, at, note)
SELECT %(booking)s, CASE WHEN i %% 8 = 0 THEN 'cancelled' ELSE 'created' END, 'customer',
       now() - i * interval '18 min', ''
FROM generate_series(1, 30000) i;
INSERT INTO telemetry_rumsample (received_at, route, device, navigation, release, trace_id, part, js_errors)
SELECT now() - (200000 - i) * interval '13 s', '/p' || i %% 14, 'mobile', 'navigate', 'r', '', 0, (i %% 500 = 0)::int
FROM generate_series(1, 200000) i;
INSERT INTO telemetry_rumdaily (day, route, device, vital, bucket, count)
SELECT current_date - d, '/p' || r, device, vital, b, 20
FROM generate_series(0, 29) d, generate_series(0, 13) r, unnest(array['mobile', 'desktop']) device,
     unnest(array['lcp', 'cls', 'inp', 'fcp', 'ttfb']) vital, generate_series(-20, 10) b;
"""


@pytest.mark.timing
def test_it_takes_no_time_with_a_year_of_data(
    admin_client: Client, visit: Booking, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(YEAR, {"booking": visit.pk})
        cursor.execute("ANALYZE bookings_bookingevent, telemetry_rumsample, telemetry_rumdaily")
    took = []
    for _ in range(4):
        started = time.perf_counter()
        with django_assert_max_num_queries(20):
            response = admin_client.get(PAGE)
        took.append(time.perf_counter() - started)
    assert len(response.context["pages"]) == 2 * 14
    assert response.context["js_errors"]
    assert min(took) < 0.3, took
