"""The customer's pages through Django's client: what good and bad input gets."""

import json
import re
from datetime import datetime, timedelta

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from bookings import scheduling
from bookings.models import (
    Booking,
    BookingEvent,
    Holiday,
    Review,
    Service,
)
from bookings.slots import calendars
from tests.pages import DETAILS, TYPED, booked, free_slot, iso, text
from xfhandyman.wsgi import Request

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files", "demo_business")]


@pytest.fixture
def service() -> Service:
    return Service.objects.get(slug="tap-repair")


@pytest.fixture
def booking(service: Service) -> Booking:
    return booked(service)


@pytest.mark.parametrize(
    "path", ["/", "/services/", "/services/tap-repair/", "/book/tap-repair/", "/contact/", "/privacy/"]
)
def test_it_shows_every_public_page_with_a_title_and_a_description(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert re.search(r"<title>[^<]{10,}</title>", text(response))
    assert re.search(r'<meta name="description"\s+content="[^"]{30,}"', text(response))
    assert text(response).count("<h1") == 1


@pytest.mark.parametrize("path", ["/", "/services/", "/services/tap-repair/", "/book/tap-repair/", "/privacy/"])
def test_it_sets_no_cookie_before_a_form_needs_one(client: Client, path: str) -> None:
    assert not client.get(path).cookies


def test_it_allows_a_strict_content_security_policy(client: Client, booking: Booking) -> None:
    for path in ("/", "/services/", "/book/tap-repair/", "/contact/", booking.get_absolute_url()):
        page = text(client.get(path))
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style|javascript:", page), path
        assert not re.search(r"<script(?![^>]*(src=|ld\+json|speculationrules))", page), path
        assert not re.search(r"<script(?![^>]*(defer|ld\+json|speculationrules))", page), path


@pytest.mark.parametrize(
    ("postcode", "answer"),
    [
        ("se1 7pb", "Yes, we come to SE1 7PB"),
        ("ZE1 0AA", "Not to ZE1 0AA yet"),
        ("nowhere", "Enter a full postcode, such as"),
        ("", "Enter a postcode to check"),
        ("SE1\x00 7PB", "Null characters are not allowed"),
    ],
)
def test_it_checks_the_area_before_anything_is_booked(client: Client, postcode: str, answer: str) -> None:
    response = client.get("/", {"postcode": postcode})
    assert response.status_code == 200
    assert answer in text(response)


def test_it_checks_the_area_beside_a_job_too(client: Client) -> None:
    assert "Yes, we come to SE1 7PB" in text(client.get("/services/shelves/", {"postcode": "se17pb"}))
    assert "Not to ZE1 0AA yet" in text(client.get("/services/shelves/", {"postcode": "ZE1 0AA"}))


def test_it_escapes_what_a_review_says_inside_structured_data(client: Client) -> None:
    body = "</script><script>alert(1)</script>"
    Review.objects.create(author="A", body=body, date=timezone.now().date() + timedelta(days=1))
    page = text(client.get("/"))
    assert body not in page
    data = json.loads(re.findall(r"ld\+json\">(.*?)</script>", page)[0])
    assert data["review"][0]["reviewBody"] == body


def test_it_serves_robots_sitemap_and_manifest(client: Client) -> None:
    assert "Sitemap: http" in text(client.get("/robots.txt"))
    assert "/services/tap-repair/</loc>" in text(client.get("/sitemap.xml"))
    assert client.get("/manifest.webmanifest").json()["icons"]


def test_it_lists_the_same_windows_on_the_page_and_in_the_api(client: Client, service: Service) -> None:
    data = client.get("/api/availability", {"service": "tap-repair"}).json()
    day = next(day for day in data["days"] if day["date"] == data["selected"])
    page = text(client.get("/book/tap-repair/", {"day": data["selected"]}))
    shown = re.findall(r"details/\?start=([^\"&]+)", page)
    assert len(shown) == len(day["slots"]) > 0
    assert [datetime.fromisoformat(s) for s in shown] == [datetime.fromisoformat(s["start"]) for s in day["slots"]]
    assert data["next_free"] == next(slot["start"] for day in data["days"] for slot in day["slots"])


def test_it_answers_the_picker_with_the_pages_own_markup(client: Client) -> None:
    response = client.get("/api/availability", {"service": "tap-repair"}, headers={"accept": "text/html"})
    assert response["Content-Type"].startswith("text/html")
    assert "Accept" in response["Vary"]
    assert 'class="tape"' in text(response)
    assert "<html" not in text(response)


@pytest.mark.parametrize("slug", ["", "nothing", "tap-repair\x00", "é" * 300])
def test_it_says_that_a_service_is_unknown(client: Client, slug: str) -> None:
    assert client.get("/api/availability", {"service": slug}).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {"day": "yesterday"},
        {"day": "0001-01-01"},
        {"day": "9999-12-31"},
        {"week": "9999-12-31"},
        {"week": "1999-01-01", "day": "2026-13-45"},
        {"handyman": "nobody\x00"},
    ],
)
def test_it_shows_a_week_whatever_the_address_says(client: Client, query: dict[str, str]) -> None:
    response = client.get("/book/tap-repair/", query)
    assert response.status_code == 200
    assert 'class="tape"' in text(response)


def test_it_says_when_nothing_is_free_and_where_to_go_next(client: Client) -> None:
    today = calendars.current_rules().today(timezone.now())
    Holiday.objects.filter(date__gte=today).delete()
    Holiday.objects.bulk_create(Holiday(date=today + timedelta(days=n), name="Closed") for n in range(10))
    page = text(client.get("/book/tap-repair/", {"day": today.isoformat()}))
    assert "Nothing free" in page
    assert "The next free window is" in page
    Holiday.objects.bulk_create(Holiday(date=today + timedelta(days=n), name="Closed") for n in range(10, 70))
    page = text(client.get("/book/tap-repair/", {"day": (today + timedelta(days=59)).isoformat()}))
    assert "We are booked out" in page
    assert "ring us on" in page


def test_it_costs_a_week_a_bounded_number_of_queries(
    client: Client, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    with django_assert_max_num_queries(8):  # type: ignore[operator] # a context manager factory
        client.get("/book/tap-repair/")


def test_it_does_not_call_a_cancelled_booking_booked(client: Client, booking: Booking) -> None:
    scheduling.cancel(booking=booking, by=BookingEvent.By.CUSTOMER)
    response = client.get(f"{booking.get_absolute_url()}confirmed/")
    assert response["Location"] == booking.get_absolute_url()


@pytest.mark.parametrize("header", ["HTTP_ACCEPT", "CONTENT_TYPE"])
@pytest.mark.parametrize("kind", ["text/html", "multipart/form-data"])
def test_it_answers_a_header_in_a_charset_that_does_not_exist(header: str, kind: str) -> None:
    request = RequestFactory().post("/api/availability", HTTP_HOST="localhost")
    request.environ[header] = f"{kind}; a*=none''%ff"
    taken = Request(request.environ)
    assert taken.get_preferred_type(["text/html"]) == "text/html"
    assert taken.content_type in (kind, "multipart/form-data")


def test_it_leads_an_address_without_a_time_back_to_the_week(client: Client) -> None:
    assert client.get(DETAILS, {"start": "x"})["Location"] == "/book/tap-repair/"


def test_it_has_a_page_for_what_does_not_exist(client: Client) -> None:
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert "There is no page here" in text(response)
    assert response["X-Request-ID"] in text(response)


def test_it_explains_a_form_without_its_security_cookie(service: Service) -> None:
    response = Client(enforce_csrf_checks=True).post(DETAILS, TYPED | {"start": iso(free_slot(service).starts_at)})
    assert response.status_code == 403
    assert "Please send the form again" in text(response)


def test_it_has_a_page_for_its_own_faults(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("the cause")

    monkeypatch.setattr("bookings.views.booking.week", broken)
    client.raise_request_exception = False
    response = client.get("/book/tap-repair/")
    assert response.status_code == 500
    assert "Something broke on our side" in text(response)
    assert "the cause" not in text(response)
    assert response["X-Request-ID"] in text(response)


def test_it_says_so_before_there_is_anything_to_book(client: Client) -> None:
    Service.objects.update(active=False)
    for path in ("/", "/services/"):
        assert "Online booking opens soon" in text(client.get(path))
    for path in ("/services/tap-repair/", "/book/tap-repair/", DETAILS, "/api/availability?service=tap-repair"):
        assert client.get(path).status_code == 404


def test_it_never_asks_money_for_a_free_quote(client: Client) -> None:
    """A visit to look and measure costs nothing, before and after it is booked."""
    slot = calendars.next_slots(service=Service.objects.get(slug="room-painting"))[0]
    details = "/book/room-painting/details/"
    offer = Service.objects.get(slug="room-painting").offer
    posted = client.post(details, TYPED | {"start": iso(slot.starts_at), "offer": offer}, follow=True)
    shown = [text(client.get(path)) for path in ("/services/room-painting/", "/book/room-painting/")]
    shown += [text(client.get(f"{details}?start={iso(slot.starts_at)}")), text(posted)]
    assert "Booked" in shown[-1]
    for page in shown:
        assert not re.search(r"[Yy]ou pay|VAT included|Materials at cost", page.split("<footer")[0])
