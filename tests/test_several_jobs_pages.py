"""Several jobs in one visit, as a customer books them: without account, cookie or script until the form."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from bookings.forms import read_instant
from bookings.messaging import calendar_entry, emails
from bookings.models import Booking, Service
from tests import factories
from tests.forms import posted

WHO = {
    "customer_name": "Robin Example",
    "customer_email": "robin@example.com",
    "customer_phone": "07700 900200",
    "address": "1 Sample Street",
    "postcode": "SE1 7PB",
    "consent": "on",
}
SEVERAL = "job=doors:3&job=tap:1"


@pytest.fixture
def doors(db: None) -> Service:
    doors = factories.service(slug="doors", name="Door repair", duration_minutes=60, buffer_minutes=30)
    tap = factories.service(slug="tap", name="Tap repair", duration_minutes=90, buffer_minutes=45, price_pence=8500)
    tv = factories.service(slug="tv", name="TV on the wall", duration_minutes=90)
    factories.handyman(doors, tap, name="Both")
    factories.handyman(tv, name="Electrician")
    return doors


def links(page: str, name: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'(?:href|formaction)="([^"]*)"', page) if name in each]


def details_form(client: Client, query: str = SEVERAL) -> tuple[str, dict[str, list[str]]]:
    """The details form that the week's first window leads to, filled in, and its address."""
    week = client.get(f"/book/doors/?{query}").content.decode()
    page = client.get(links(week, "/details/")[0])
    assert page.status_code == 200
    return "/book/doors/details/", posted(page.content, **WHO)


def test_who_books_one_job_sees_no_basket(client: Client, doors: Service) -> None:
    page = client.get("/services/doors/").content.decode()
    assert "More than one, or another job too?" in page
    for path in ("/book/doors/", links(client.get("/book/doors/").content.decode(), "/details/")[0]):
        assert "job=" not in client.get(path).content.decode().replace("data-job=", "")
    assert set(client.cookies) == {"csrf"}


def test_one_job_a_visit_is_a_setting(client: Client, doors: Service, settings: Any) -> None:
    settings.BOOKING_JOBS_PER_VISIT = 1
    assert "More than one" not in client.get("/services/doors/").content.decode()
    assert client.get("/book/doors/jobs/").status_code == 302
    page = client.get(f"/book/doors/?{SEVERAL}").content.decode()
    assert "Not everything you asked for is in this visit" in page
    assert "£60 fixed price" in page


def test_jobs_are_added_and_taken_away_by_links_and_forms_alone(client: Client, doors: Service) -> None:
    page = client.get("/book/doors/jobs/?job=doors:3").content.decode()
    assert "£180 fixed price" in page
    assert 'name="job" value="tap:1"' in page
    page = client.get(f"/book/doors/jobs/?{SEVERAL}").content.decode()
    assert "£265 fixed price" in page
    assert "Takes about 4½ hours" in page
    assert "£60 fixed price" in client.get("/book/doors/jobs/?job=doors:1&job=tap:0").content.decode()
    assert not client.cookies


def test_windows_are_of_those_who_do_all_jobs(client: Client, doors: Service) -> None:
    one = client.get("/api/availability?service=doors").json()
    all_of_it = client.get(f"/api/availability?service=doors&{SEVERAL}").json()
    counts = [[len(day["slots"]) for day in answer["days"]] for answer in (one, all_of_it)]
    assert (max(counts[0]), max(counts[1])) == (9, 5), "the last window leaves four hours and a half, and not one"
    assert all_of_it["offer"].startswith("3*fixed.6000")
    assert "who=" not in client.get(f"/book/doors/?{SEVERAL}").content.decode()


def test_what_nobody_can_do_in_one_visit_is_offered_as_two(client: Client, doors: Service) -> None:
    for path in ("/book/doors/jobs/", "/book/doors/"):
        page = client.get(f"{path}?{SEVERAL}&job=tv:1").content.decode()
        text = " ".join(re.sub(r"<[^>]+>", "", page).split())
        assert "TV on the wall needs another visit. No handyman does all of it" in text
        offered = [each for each in links(page, "/book/") if "/jobs/" not in each]
        assert {"/book/doors/?&job=doors:3&job=tap:1", "/book/tv/"} <= set(offered)
        assert all(client.get(each).status_code == 200 for each in offered)


def test_more_than_a_day_is_split_by_quantity(client: Client, doors: Service) -> None:
    page = client.get("/book/doors/jobs/?job=doors:9&job=tap:1").content.decode()
    assert "/book/doors/?&amp;job=doors:9" in page, "nine hours and the window are the whole day"
    assert 'href="/book/tap/"' in page
    Service.objects.filter(pk=doors.pk).update(duration_minutes=180)
    page = client.get("/book/doors/jobs/?job=doors:7").content.decode()
    assert page.count("/book/doors/?&amp;job=doors:3") == 2
    assert 'href="/book/doors/"' in page
    Service.objects.filter(pk=doors.pk).update(duration_minutes=600)
    assert "cannot be booked online" in client.get("/book/doors/jobs/?job=doors:2").content.decode()


def test_all_jobs_are_booked_as_shown_and_on_every_page(client: Client, doors: Service) -> None:
    address, form = details_form(client)
    assert form["job"] == ["doors:3", "tap:1"]
    answer = client.post(address, form)
    assert answer.status_code == 302
    booking = Booking.objects.with_jobs().get()
    assert booking.what == "3 × Door repair, Tap repair"
    assert client.post(address, form).status_code == 302
    assert Booking.objects.count() == 1
    for path in (answer["Location"], booking.get_absolute_url()):
        page = client.get(path).content.decode()
        for said in ("3 × Door repair", "£180 fixed price", "Tap repair", "£85 fixed price", "£265 fixed price"):
            assert said in page, (path, said)
    entry = calendar_entry.invitation(booking).to_ical().decode().replace("\r\n ", "")
    assert "SUMMARY:3 × Door repair and 1 more job" in entry
    assert "The jobs take about 4½ hours" in entry
    mail = emails.booking_email(booking, "confirmation")
    assert "What      3 × Door repair: £180 fixed price\n          Tap repair: £85 fixed price\nWhen" in mail.body
    assert mail.subject.endswith("3 × Door repair and 1 more job")


def test_another_price_of_any_job_is_shown_before_it_is_booked(client: Client, doors: Service) -> None:
    address, form = details_form(client)
    Service.objects.filter(slug="tap").update(price_pence=9900)
    answer = client.post(address, form)
    assert answer.status_code == 409
    assert "it is now £279 fixed price; it was £265 fixed price" in answer.content.decode()
    assert not Booking.objects.exists()
    assert client.post(address, posted(answer.content)).status_code == 302
    assert [job.price_pence for job in Booking.objects.get().jobs] == [18000, 9900]


def test_a_job_that_is_gone_is_said_and_the_others_stay(client: Client, doors: Service) -> None:
    address, form = details_form(client)
    Service.objects.filter(slug="tap").update(active=False)
    answer = client.post(address, form)
    assert answer.status_code == 409
    assert "What stays is 3 × Door repair" in answer.content.decode()
    assert client.post(address, posted(answer.content)).status_code == 302
    assert Booking.objects.get().what == "3 × Door repair"
    other, again = details_form(client)
    Service.objects.filter(pk=doors.pk).update(active=False)
    Service.objects.filter(slug="tap").update(active=True)
    gone = client.post(other, again | {"job": ["doors:2", "tap:2"], "key": ["another"]})
    assert gone.status_code == 404
    assert posted(gone.content)["job"] == ["tap:2"]


def test_a_postcode_is_kept_and_who_wants_several_jobs_is_not_put_in_line_for_one(
    client: Client, doors: Service
) -> None:
    page = client.get("/book/doors/jobs/?job=doors:2&postcode=SE1+7PB").content.decode()
    assert '<input type="hidden" name="postcode" value="SE1 7PB">' in page
    assert "Tell me when" in client.get("/book/doors/").content.decode()
    assert "Tell me when" not in client.get(f"/book/doors/?{SEVERAL}").content.decode()


def test_a_lost_window_keeps_the_jobs(client: Client, doors: Service) -> None:
    address, form = details_form(client)
    start = read_instant(form["start"][0])
    assert start
    factories.booking(service=doors, handyman=doors.handymen.get(), starts_at=start)
    answer = client.post(address, form)
    assert answer.status_code == 409
    kept = posted(answer.content)
    assert kept["job"] == ["doors:3", "tap:1"]
    other = re.findall(r'type="radio" name="start" value="([^"]+)"', answer.content.decode())
    assert client.post(address, kept | {"start": other[-1:]}).status_code == 302
    assert Booking.objects.filter(quantity=3).get().what == "3 × Door repair, Tap repair"
