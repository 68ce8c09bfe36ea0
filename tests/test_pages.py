"""The customer's pages through Django's client: what good and bad input gets."""

import json
import re
import struct
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import signing
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from django.utils import timezone
from PIL import Image

from bookings import demo, scheduling
from bookings.messaging import emails, spam
from bookings.models import (
    Booking,
    BookingEvent,
    ContactMessage,
    Handyman,
    Holiday,
    Review,
    Service,
    Status,
    WorkingHours,
)
from bookings.slots import calendars
from bookings.slots.rules import Slot
from xfhandyman.wsgi import Request

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]

TYPED = {
    "key": "0123456789abcdef",
    "customer_name": "Robin Example",
    "customer_email": "robin@example.com",
    "customer_phone": "07700 900200",
    "address": "1 Sample Street",
    "postcode": "se1 7pb",
    "notes": "Second bell from the top",
    "consent": "on",
}
DETAILS = "/book/tap-repair/details/"


@pytest.fixture(autouse=True)
def _demo_business() -> None:
    demo.load(now=timezone.now())


@pytest.fixture
def service() -> Service:
    return Service.objects.get(slug="tap-repair")


@pytest.fixture
def slot(service: Service) -> Slot:
    """A free window far enough ahead to be changed by its customer."""
    after = calendars.current_rules().today(timezone.now()) + timedelta(days=3)
    return calendars.next_slots(service=service, after=after)[0]


@pytest.fixture
def booking(service: Service, slot: Slot) -> Booking:
    customer = scheduling.Customer(**{name: TYPED[name] for name in scheduling.Customer.__dataclass_fields__})
    return scheduling.book(service=service, starts_at=slot.starts_at, customer=customer, idempotency_key="made")


def post(client: Client, typed: dict[str, str], **options: Any) -> Any:
    """Post the details form as it was just shown."""
    return client.post(DETAILS, {"offer": Service.objects.get(slug="tap-repair").offer} | typed, **options)


def iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined, no-any-return]  # the test client's response


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


def test_it_books_and_shows_the_confirmation(client: Client, slot: Slot) -> None:
    response = post(client, TYPED | {"start": iso(slot.starts_at)})
    booking = Booking.objects.get(customer_email="robin@example.com")
    assert response.status_code == 302
    assert (booking.starts_at, booking.postcode, booking.status) == (slot.starts_at, "SE1 7PB", Status.CONFIRMED)
    page = text(client.get(response["Location"]))
    assert "Booked. See you" in page
    assert booking.reference in page


def test_it_makes_one_booking_of_a_form_posted_twice(client: Client, slot: Slot) -> None:
    posted = TYPED | {"start": iso(slot.starts_at)}
    first, second = post(client, posted), post(client, posted)
    assert [first.status_code, second.status_code] == [302, 302]
    booking = Booking.objects.get(customer_email="robin@example.com")
    assert booking.reference in text(client.get(second["Location"]))


def assert_kept(page: str) -> None:
    for name in ("customer_name", "customer_email", "customer_phone", "address", "postcode", "notes"):
        assert TYPED[name] in page, f"{name} was lost"
    assert re.search(r'name="consent"[^>]*checked', page)
    assert TYPED["key"] in page


def refuse(client: Client, start: str, sentence: str, status: int = 422, **extra: str) -> str:
    response = post(client, TYPED | {"start": start} | extra)
    page = text(response)
    assert response.status_code == status
    assert sentence in page
    assert_kept(page)
    assert not Booking.objects.filter(customer_email="robin@example.com").exists()
    assert "<title>Error: " in page
    return page


def assert_offers(client: Client, page: str) -> None:
    """Every window on offer can really be had: the first is booked."""
    offered = re.findall(r'type="radio" name="start" value="([^"]+)"', page)
    assert 1 <= len(offered) <= 6
    assert post(client, TYPED | {"start": offered[0]}).status_code == 302


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda at: at + timedelta(minutes=7), "Visits do not start at that time"),
        (lambda at: at - timedelta(days=400), "That time has gone by"),
        (lambda at: at + timedelta(days=400), "further ahead than we take bookings"),
        (lambda at: at.replace(hour=2), "Nobody is at work then"),
    ],
)
def test_it_offers_the_nearest_windows_for_a_slot_that_never_was(
    client: Client, slot: Slot, change: object, sentence: str
) -> None:
    page = refuse(client, iso(change(slot.starts_at)), sentence)  # type: ignore[operator] # the lambdas above
    assert_offers(client, page)


def test_it_refuses_a_slot_within_the_notice_period(client: Client, settings: object) -> None:
    settings.BOOKING_NOTICE_HOURS = 24 * 30  # type: ignore[attr-defined] # pytest-django's settings
    soon = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    assert_offers(client, refuse(client, iso(soon), "too soon for us"))


@pytest.mark.parametrize("start", ["", "soon", "2026-11-26", "2026-11-26T09:00", "9999-12-31T23:59:00-14:00", "\x00"])
def test_it_asks_for_a_window_when_the_posted_one_cannot_be_read(client: Client, start: str) -> None:
    assert_offers(client, refuse(client, start, "Pick an arrival window"))


def test_it_answers_409_when_the_slot_was_lost_to_somebody_else(client: Client, service: Service, slot: Slot) -> None:
    customer = scheduling.Customer(
        customer_name="Quick", customer_email="quick@example.com", customer_phone="07700 900201",
        address="2 Sample Street", postcode="SE1 7PB",
    )  # fmt: skip
    for number in slot.handyman_ids:
        scheduling.book(service=service, starts_at=slot.starts_at, customer=customer, idempotency_key=f"quick-{number}")
    page = refuse(client, iso(slot.starts_at), "has just been taken", 409)
    assert_offers(client, page)


def test_it_offers_anybody_when_the_wanted_handyman_has_nothing_near(client: Client, slot: Slot) -> None:
    wanted = Handyman.objects.get(pk=slot.handyman_ids[0])
    WorkingHours.objects.filter(handyman=wanted).delete()
    night = slot.starts_at.replace(hour=2)
    page = refuse(client, iso(night), "Nobody is at work then", handyman=wanted.slug)
    assert_offers(client, page)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("customer_name", "", "Enter your name"),
        ("customer_email", "robin@", "Enter an e-mail address like"),
        ("customer_phone", "call me", "Enter a phone number with its area code"),
        ("address", " ", "Enter the address of the job"),
        ("postcode", "12345", "Enter a full postcode, such as"),
        ("postcode", "ZE1 0AA", "We do not come to this postcode yet"),
        ("customer_name", "x" * 121, "at most 120 characters"),
        ("notes", "x" * 2001, "at most 2000 characters"),
        ("notes", "a\x00b", "Null characters are not allowed"),
        ("customer_email", "x" * 250 + "@example.com", "at most 254 characters"),
        ("customer_email", '"\x01"@example.com', "Enter an e-mail address like"),
        ("postcode", "SE\u0661 \u0667PB", "Enter a full postcode, such as"),
    ],
)
def test_it_names_the_field_to_correct_and_keeps_the_rest(
    client: Client, slot: Slot, field: str, value: str, sentence: str
) -> None:
    response = post(client, TYPED | {"start": iso(slot.starts_at), field: value})
    page = text(response)
    assert response.status_code == 422
    assert page.count(sentence) == 2, "once in the summary and once at the field"
    assert f'href="#id_{field}"' in page
    assert f'id="id_{field}_error"' in page
    assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', page)
    for name, typed in TYPED.items():
        assert name in (field, "consent", "postcode") or typed in page
    assert iso(slot.starts_at) in page


def test_it_asks_for_consent(client: Client, slot: Slot) -> None:
    response = post(client, {k: v for k, v in TYPED.items() if k != "consent"} | {"start": iso(slot.starts_at)})
    assert response.status_code == 422
    assert 'href="#id_consent"' in text(response)


def test_it_shows_other_windows_without_losing_what_was_typed(client: Client, slot: Slot) -> None:
    response = post(client, TYPED | {"start": iso(slot.starts_at), "change": "1"})
    assert response.status_code == 200
    assert_kept(text(response))
    assert len(re.findall(r'type="radio" name="start"', text(response))) > 1
    assert not Booking.objects.filter(customer_email="robin@example.com").exists()


def test_it_asks_again_when_the_wanted_handyman_does_not_do_the_job(client: Client, slot: Slot) -> None:
    page = refuse(client, iso(slot.starts_at), "does not do this job", handyman="nobody")
    assert_offers(client, page)
    assert iso(slot.starts_at) in page, "the window itself, where somebody else is free"


def test_it_writes_to_a_name_of_two_lines(client: Client, slot: Slot) -> None:
    name = {"customer_name": "Robin\r\nBcc: other@example.com"}
    post(client, TYPED | {"start": iso(slot.starts_at)} | name)
    booking = Booking.objects.get(customer_email="robin@example.com")
    written = emails.booking_email(booking, "confirmation").message()
    assert written["Bcc"] is None
    assert "robin@example.com" in written["To"]


def test_it_books_from_a_form_that_lost_its_key(client: Client, slot: Slot) -> None:
    assert post(client, TYPED | {"start": iso(slot.starts_at), "key": ""}).status_code == 302


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


@pytest.mark.parametrize("what", ["forged", "expired", "revoked", "deleted"])
def test_it_meets_a_dead_link_with_a_404_and_a_way_to_get_help(client: Client, booking: Booking, what: str) -> None:
    token = booking.link_token
    if what == "forged":
        token = signing.dumps([booking.pk, booking.link_key], key="not ours", salt="bookings.link")
    elif what == "expired":
        gone = timedelta(days=90)
        booking.take_time(booking.starts_at - gone)
        booking.save()
    elif what == "revoked":
        Booking.objects.filter(pk=booking.pk).update(link_key="another")
    else:
        booking.delete()
    for suffix in ("", "confirmed/", "calendar.ics"):
        response = client.get(f"/bookings/{token}/{suffix}")
        assert response.status_code == 404
        assert "This link does not open a booking" in text(response)
        assert "tel:" in text(response)
    assert client.post(f"/bookings/{token}/", {"action": "cancel"}).status_code == 404


@pytest.mark.parametrize("token", ["x", "a:b:c", "%00", "WzEsMl0:1abc:" + "x" * 40, "é"])
def test_it_never_breaks_on_a_garbled_link(client: Client, token: str) -> None:
    assert client.get(f"/bookings/{token}/").status_code == 404


def test_it_promises_no_change_online_when_it_is_too_late_for_one(client: Client, booking: Booking) -> None:
    promise = "free of charge"
    assert promise in text(client.get(f"{booking.get_absolute_url()}confirmed/"))
    assert promise in emails.booking_email(booking, "reminder").body
    booking.take_time(timezone.now().replace(microsecond=0) + timedelta(hours=5))
    booking.grace_until = timezone.now() - timedelta(seconds=1)
    booking.save()
    assert promise not in text(client.get(f"{booking.get_absolute_url()}confirmed/"))
    for said in (emails.booking_email(booking, "reminder").body, text(client.get(f"{booking.get_absolute_url()}"))):
        assert promise not in said
        assert "we will find the fairest way" in said


def test_it_changes_nothing_on_get(client: Client, booking: Booking) -> None:
    client.get(booking.get_absolute_url(), {"action": "cancel"})
    client.head(booking.get_absolute_url())
    booking.refresh_from_db()
    assert booking.status == Status.CONFIRMED


def test_it_moves_by_the_link(client: Client, booking: Booking, service: Service) -> None:
    target = calendars.nearest_slots(service=service, starts_at=booking.starts_at, ignoring=booking)[-1]
    url = booking.get_absolute_url()
    response = client.post(url, {"action": "move", "start": iso(target.starts_at)}, follow=True)
    booking.refresh_from_db()
    assert booking.starts_at == target.starts_at
    assert "Moved." in text(response)
    assert booking.events.filter(kind=BookingEvent.Kind.MOVED, by=BookingEvent.By.CUSTOMER).count() == 1


def test_it_cancels_by_the_link(client: Client, booking: Booking) -> None:
    response = client.post(booking.get_absolute_url(), {"action": "cancel"}, follow=True)
    booking.refresh_from_db()
    assert booking.status == Status.CANCELLED
    assert "This visit is cancelled" in text(response)
    calendar = text(client.get(f"{booking.get_absolute_url()}calendar.ics"))
    assert "STATUS:CANCELLED" in calendar


def test_it_refuses_changes_after_the_deadline_and_says_to_ring(client: Client, booking: Booking) -> None:
    booking.take_time(timezone.now().replace(microsecond=0) + timedelta(hours=5))
    booking.grace_until = timezone.now() - timedelta(seconds=1)
    booking.save()
    assert "Cancel this visit" not in text(client.get(booking.get_absolute_url()))
    response = client.post(booking.get_absolute_url(), {"action": "cancel"})
    assert response.status_code == 409
    assert "too close to the visit" in text(response)


@pytest.mark.parametrize(
    ("posted", "status"),
    [
        ({"action": "move"}, 422),
        ({"action": "move", "start": "2020-01-01T09:00:00Z"}, 422),
        ({"action": "explode"}, 422),
        ({}, 422),
    ],
)
def test_it_changes_nothing_on_a_bad_request(client: Client, booking: Booking, posted: object, status: int) -> None:
    response = client.post(booking.get_absolute_url(), posted)
    assert response.status_code == status
    assert "Nothing has changed" in text(response)
    assert Booking.objects.get(pk=booking.pk).starts_at == booking.starts_at


WRITTEN = {
    "key": "fedcba9876543210",
    "topic": "quote",
    "name": "Robin Example",
    "email": "robin@example.com",
    "body": "Could you put up a fence?",
}


def opened(seconds_ago: float, monkeypatch: pytest.MonkeyPatch) -> str:
    """A stamp of a form that was shown some seconds ago."""
    with monkeypatch.context() as patched:
        now = datetime.now(UTC).timestamp()
        patched.setattr(signing.time, "time", lambda: now - seconds_ago)  # type: ignore[attr-defined] # imported there
        return spam.opened_stamp()


def test_it_keeps_a_message_and_thanks(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    response = client.post("/contact/", WRITTEN | {"opened": opened(20, monkeypatch)}, follow=True)
    assert "Thank you" in text(response)
    message = ContactMessage.objects.get()
    assert (message.topic, message.body, message.suspected_spam) == ("quote", WRITTEN["body"], False)


def test_it_keeps_a_second_message_from_the_same_form(client: Client) -> None:
    posted = WRITTEN | {"opened": spam.opened_stamp()}
    for body in (WRITTEN["body"], WRITTEN["body"], "And a gate?"):
        client.post("/contact/", posted | {"body": body})
    assert set(ContactMessage.objects.values_list("body", flat=True)) == {WRITTEN["body"], "And a gate?"}
    assert ContactMessage.objects.count() == 2


@pytest.mark.parametrize(
    ("sign", "age"),
    [
        ({"website": "https://spam.example"}, 20),
        ({"body": "http://a.example http://b.example www.c.example"}, 20),
        ({}, 1),
        ({"opened": ""}, 20),
        ({"opened": "form:forged:stamp"}, 20),
    ],
)
def test_it_keeps_suspected_spam_flagged_and_thanks_all_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch, sign: dict[str, str], age: float
) -> None:
    response = client.post("/contact/", WRITTEN | {"opened": opened(age, monkeypatch)} | sign, follow=True)
    assert "Thank you" in text(response)
    assert ContactMessage.objects.get().suspected_spam


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("topic", "hack", "Select a valid choice"),
        ("body", "", "Write your message"),
        ("email", "?", "Enter an e-mail"),
        ("email", "x" * 250 + "@example.com", "at most 254 characters"),
    ],
)
def test_it_keeps_what_was_written_when_something_is_missing(
    client: Client, field: str, value: str, sentence: str
) -> None:
    response = client.post("/contact/", WRITTEN | {"opened": spam.opened_stamp(), field: value})
    assert response.status_code == 422
    assert sentence in text(response)
    assert WRITTEN["name"] in text(response)
    assert not ContactMessage.objects.exists()


def picture(kind: str = "JPEG", size: tuple[int, int] = (2400, 1200)) -> bytes:
    """A picture that knows where it was taken and that it stands on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 0.0)
    file = BytesIO()
    Image.new("RGB", size, "red").save(file, kind, exif=exif)
    return file.getvalue()


def broken_exif() -> bytes:
    """A JPEG that stands on its side, with text for the number of its resolution."""
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x011A, 2, 4, b"abc\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)
    return file.getvalue()[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + file.getvalue()[2:]


def test_it_keeps_photos_for_staff_without_what_they_reveal(client: Client, admin_client: Client) -> None:
    files = [SimpleUploadedFile("a.jpg", picture()), SimpleUploadedFile("b.png", picture("PNG"))]
    posted = WRITTEN | {"opened": spam.opened_stamp(), "photos": files}
    assert client.post("/contact/", posted).status_code == 302
    message = ContactMessage.objects.get()
    assert message.photos.count() == 2
    path = f"/contact/photos/{message.photos.earliest('pk').pk}.jpg"
    assert client.get(path).status_code == 302, "to the login of staff"
    with Image.open(BytesIO(admin_client.get(path).content)) as kept:
        assert (kept.format, kept.size) == ("JPEG", (800, 1600))
        assert not kept.getexif()
    assert path in text(admin_client.get(f"/admin/bookings/contactmessage/{message.pk}/change/"))


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ([b"<svg onload=alert(1)>"], "could not read that photo"),
        ([picture()[:4000]], "could not read that photo"),
        ([b"GIF89a"], "could not read that photo"),
        ([broken_exif()], "could not read that photo"),
        ([picture("PNG", (9000, 6000))], "too many pixels"),
        ([picture(size=(8, 8)) + b" " * 10 * 1024 * 1024], "10 MB at most"),
        ([picture(size=(8, 8))] * 6, "at most 5 photos"),
    ],
)
def test_it_refuses_photos_that_are_none_and_keeps_the_message(
    client: Client, sent: list[bytes], sentence: str
) -> None:
    files = [SimpleUploadedFile("photo.jpg", each) for each in sent]
    response = client.post("/contact/", WRITTEN | {"opened": spam.opened_stamp(), "photos": files})
    assert response.status_code == 422
    assert sentence in text(response)
    assert WRITTEN["body"] in text(response)
    assert not ContactMessage.objects.exists()


def test_it_chooses_the_topic_that_a_link_names(client: Client) -> None:
    assert re.search(r'value="quote"[^>]*checked', text(client.get("/contact/?" + urlencode({"topic": "quote"}))))


def test_it_has_a_page_for_what_does_not_exist(client: Client) -> None:
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert "There is no page here" in text(response)
    assert response["X-Request-ID"] in text(response)


def test_it_explains_a_form_without_its_security_cookie(slot: Slot) -> None:
    response = Client(enforce_csrf_checks=True).post(DETAILS, TYPED | {"start": iso(slot.starts_at)})
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
