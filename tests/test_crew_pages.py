"""A handyman's day on his phone: his own visits with what he needs there, and forms that work without a script."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from bookings.models import Booking, BookingEvent, Handyman, Postcode, TimeOff, TimeOffRequest, VisitReport
from bookings.slots.calendars import midnight
from tests import factories, forms

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def amir(client: Client) -> Handyman:
    """Amir, who is logged in."""
    user = User.objects.create_user("amir", is_staff=True)
    user.groups.add(Group.objects.get(name="Handymen"))
    client.force_login(user)
    return factories.handyman(factories.service(name="Tap repair"), user=user, name="Amir")


def visit(handyman: Handyman, days: int = 0, hour: int = 9, **fields: str) -> Booking:
    starts_at = midnight(timezone.localdate() + DAY * days) + timedelta(hours=hour)
    return factories.booking(service=handyman.skills.get(), handyman=handyman, starts_at=starts_at, **fields)


def post(client: Client, booking: Booking, accept: str = "text/html", **fields: object) -> tuple[int, str]:
    answer = client.post(f"/crew/visits/{booking.pk}/", {"key": "k", **fields}, headers={"Accept": accept})
    return answer.status_code, answer.content.decode()


def test_today_comes_first_with_what_he_needs_at_the_door(amir: Handyman, client: Client) -> None:
    later = visit(amir, hour=14, customer_name="Second", customer_phone="020 7946 0123")
    first = visit(amir, customer_name="First <b>", address="14 Mill Lane", notes="Key safe.\nRing twice.")
    visit(amir, days=1, customer_name="Tomorrow's")
    visit(amir, days=5, customer_name="In a while", postcode="N1 2AB")
    stranger = visit(factories.handyman(amir.skills.get()), customer_name="A colleague's")
    page = client.get("/crew/").content.decode()
    assert page.index("First &lt;b&gt;") < page.index("Second") < page.index("Tomorrow&#x27;s") < page.index("N1 2AB")
    assert 'href="tel:+44-20-7946-0123"' in page
    assert re.search(r'href="https://www.google.com/maps/dir/\?api=1&amp;destination=14\+Mill\+Lane%2C\+SE15', page)
    assert "Key safe.<br>Ring twice." in page
    assert "A colleague" not in page, "nor anything else of it"
    assert "In a while" not in page, "whose details are not needed yet"
    assert client.get(f"/crew/visits/{stranger.pk}/").status_code == 404
    assert first.get_absolute_url() not in page
    assert later.link_key not in page


def test_a_cancelled_visit_is_shown_without_its_customer(amir: Handyman, client: Client) -> None:
    off, expired = visit(amir, customer_name="Cancelled's"), visit(amir, hour=12, customer_name="Expired hold's")
    Booking.objects.update(status="cancelled")
    BookingEvent.objects.create(booking=off, kind="created", by="customer")
    page = client.get("/crew/").content.decode()
    assert f"visit-{off.pk}" in page
    assert "Cancelled&#x27;s" not in page
    assert f"visit-{expired.pk}" not in page


def test_it_shows_what_was_done_there_before(amir: Handyman, client: Client) -> None:
    same_place = visit(amir, days=-30, address="14 Mill Lane", customer_email="")
    same_person = visit(amir, days=-20, customer_email="Robin@example.com", address="2 Elsewhere")
    other = visit(amir, days=-10)
    Booking.objects.update(status="completed")
    for past in (same_place, same_person, other):
        VisitReport.objects.create(
            booking=past, handyman=amir, kind="done", key=past.reference, at=past.starts_at, words=f"Did {past.pk}."
        )
    visit(amir, address="14 mill lane", customer_email="robin@example.com")
    page = client.get("/crew/").content.decode()
    assert f"Did {same_place.pk}." in page
    assert f"Did {same_person.pk}." in page
    assert f"Did {other.pk}." not in page


def test_it_says_when_to_leave_for_each_visit(amir: Handyman, client: Client) -> None:
    """From where the day starts, then from the last visit that stands; nothing where a place is not known."""
    home, near, unknown = "SE15 4QL", "SE1 7PB", "SE99 9ZZ"
    Postcode.objects.replace_all({home: (51.4708, -0.0648), near: (51.5055, -0.1120)})
    Handyman.objects.update(start_postcode=home)
    visit(amir, hour=9, postcode=near)
    Booking.objects.filter(pk=visit(amir, hour=11, postcode=home).pk).update(status="cancelled")
    after_it = visit(amir, hour=13, postcode=near)
    visit(amir, hour=15, postcode=unknown)
    visit(amir, days=1, hour=9, postcode=near)
    from_home = (home, "8:32am", "28")  # 5 km and a third more at 20 km/h, and 8 minutes
    assert ways_on("/crew/", client) == [from_home, (near, "12:52pm", "8"), from_home]
    assert ways_on(f"/crew/visits/{after_it.pk}/", client) == [(near, "12:52pm", "8")], "by itself as well"


def ways_on(page: str, client: Client) -> list[tuple[str, ...]]:
    shown = " ".join(client.get(page).content.decode().split())
    return re.findall(r"Leave ([A-Z0-9 ]+) by (\S+): about (\d+) min with parking", shown)


def test_it_asks_as_little_of_the_database_for_many_visits(
    amir: Handyman, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for hour in range(8, 18, 2):
        visit(amir, hour=hour)
    with django_assert_max_num_queries(14):
        client.get("/crew/")


def test_his_taps_work_as_plain_forms(amir: Handyman, client: Client) -> None:
    booking = visit(amir, hour=0)
    for kind, shown in (("on_the_way", "On the way"), ("arrived", "There")):
        assert post(client, booking, kind=kind, minutes=20)[0] == 302
        assert f'<p class="state">{shown}</p>' in client.get("/crew/").content.decode()
    assert post(client, booking, kind="done", minutes=45, words="New washer.")[0] == 302
    assert post(client, booking, kind="done", minutes=45, words="New washer.")[0] == 302, "twice is once"
    page = client.get("/crew/").content.decode()
    assert "45 minutes." in page
    assert "New washer." in page
    assert booking.reports.count() == 3
    booking.refresh_from_db()
    assert booking.status == "completed"


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ({"kind": "could_not", "words": " "}, "Write why"),
        ({"kind": "late", "minutes": ""}, "Choose how many"),
        ({"kind": "done", "minutes": "an hour", "words": "Kept words"}, "as a number"),
        ({"kind": "dance"}, "Select a valid choice"),
    ],
)
def test_what_is_incomplete_comes_back_with_what_was_typed(
    amir: Handyman, client: Client, typed: dict[str, str], asked: str
) -> None:
    booking = visit(amir)
    status, page = post(client, booking, **typed)
    assert (status, asked in page, typed.get("words", "") in page) == (422, True, True)
    assert not VisitReport.objects.exists()
    assert post(client, booking, accept="application/json", **typed)[0] == 422


def test_a_conflict_is_said_kindly_and_loses_nothing(amir: Handyman, client: Client) -> None:
    booking = visit(amir)
    Booking.objects.update(status="cancelled")
    status, page = post(client, booking, kind="done", words="New washer.")
    assert (status, "Your report is kept, and the office has been notified." in page) == (409, True)
    status, told = post(client, booking, kind="done", words="New washer.", accept="application/json")
    assert (status, '"refused": "not_possible"' in told) == (409, True)
    assert VisitReport.objects.get().words == "New washer."


def test_whom_nobody_can_write_to_he_is_asked_to_ring(amir: Handyman, client: Client) -> None:
    booking = visit(amir, hour=0, customer_email="", customer_name="Rita Rang")
    _, said = post(client, booking, kind="on_the_way", minutes=20, accept="application/json")
    assert "call them" in said
    _, said = post(client, booking, kind="late", minutes=30, accept="application/json")
    assert "Rita Rang is next and has no e-mail address" in said


def test_he_asks_for_time_off_and_the_office_decides(amir: Handyman, client: Client, admin_client: Client) -> None:
    first = timezone.localdate() + 3 * DAY
    form = {"first": first, "last": first + DAY, "reason": "Wedding", "key": "k"}
    for _ in range(2):
        assert client.post("/crew/time-off/", form).status_code == 302
    asked = TimeOffRequest.objects.get()
    assert not TimeOff.objects.exists()
    visit(amir, days=3, customer_name="In the way")
    page = forms.act(admin_client, "/admin/bookings/timeoffrequest/", "approve", asked).content.decode()
    assert "1 request approved." in page
    assert "In the way" in page, "so that it is moved"
    given = TimeOff.objects.get()
    assert (given.handyman, given.ends_at - given.starts_at >= 47 * timedelta(hours=1)) == (amir, True)
    forms.act(admin_client, "/admin/bookings/timeoffrequest/", "decline", asked)
    asked.refresh_from_db()
    assert asked.status == "approved", "what is decided stays"
    assert "Approved" in client.get("/crew/time-off/").content.decode()


@pytest.mark.parametrize("first", ["", "soon", "2020-01-01"])
def test_time_off_that_cannot_be_read_is_asked_for_again(amir: Handyman, client: Client, first: str) -> None:
    answer = client.post("/crew/time-off/", {"first": first, "reason": "Wedding", "key": "k"})
    assert (answer.status_code, "Wedding" in answer.content.decode()) == (422, True)
    assert not TimeOffRequest.objects.exists()


def test_a_phone_keeps_today_and_tomorrow_each_until_it_is_over(amir: Handyman, client: Client) -> None:
    visit(amir, customer_name="Today's")
    visit(amir, days=1, customer_name="Tomorrow's")
    today, tomorrow = (client.get(f"/crew/kept/{which}/") for which in ("today", "tomorrow"))
    for page, own, other, days in ((today, "Today", "Tomorrow", 1), (tomorrow, "Tomorrow", "Today", 2)):
        assert f"{own}&#x27;s" in page.content.decode()
        assert f"{other}&#x27;s" not in page.content.decode()
        assert int(page["Day-Ends"]) == midnight(timezone.localdate() + days * DAY).timestamp()
    assert today["Day-Next"] == "/crew/kept/tomorrow/"
    assert client.get("/crew/kept/2026-01-01/").status_code == 404


def test_what_a_browser_asks_for_by_itself_needs_no_login() -> None:
    stranger = Client()
    worker, manifest = stranger.get("/crew/worker.js"), stranger.get("/crew/manifest.webmanifest")
    assert worker["Content-Type"].startswith("text/javascript")
    assert (manifest.json()["start_url"], manifest.json()["scope"]) == ("/crew/", "/crew/")


def test_its_pages_may_register_a_worker_and_are_not_cached(amir: Handyman, client: Client) -> None:
    page = client.get("/crew/")
    assert "worker-src 'self'" in page["Content-Security-Policy"]
    assert "trusted-types crew" in page["Content-Security-Policy"]
    assert "no-store" in page["Cache-Control"]
    assert "worker-src" not in client.get("/")["Content-Security-Policy"]


@pytest.mark.parametrize("field", ["kind", "key", "at", "minutes", "words", "materials"])
def test_no_report_breaks_over_nul(amir: Handyman, client: Client, field: str) -> None:
    form = {"kind": "could_not", "key": "k", "words": "Locked.", field: "a\x00b"}
    assert client.post(f"/crew/visits/{visit(amir).pk}/", form).status_code == 422
    assert not VisitReport.objects.exists()


@pytest.mark.parametrize("action", ["feed", "feed_off", "push", "push_off", "a\x00b"])
def test_no_switch_breaks_over_nul(amir: Handyman, client: Client, action: str) -> None:
    form = dict.fromkeys(("endpoint", "p256dh", "auth", "names"), "a\x00b")
    assert client.post("/crew/phone/", {"action": action, **form}).status_code in (302, 422)
    assert client.post("/crew/time-off/", {"first": "a\x00b", "reason": "a\x00b", "key": "a\x00b"}).status_code == 422
