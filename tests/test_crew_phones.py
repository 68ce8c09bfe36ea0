"""A handyman's visits in his calendar and on his phone: what they say, and that it can be stopped."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.contrib.auth.models import Group, User
from django.core import mail
from django.test import Client
from django.utils import timezone
from icalendar import Calendar
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from bookings import events, scheduling, tasks
from bookings.messaging import notifications, push
from bookings.models import Booking, BookingEvent, CalendarFeed, Handyman, PushSubscription
from bookings.scheduling import By
from bookings.slots.calendars import midnight
from tests import factories
from tests.forms import posted

pytestmark = pytest.mark.django_db
AUTH = b"0123456789abcdef"


class PushService:
    """A push service of the test's own: keeps what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.signed: list[str] = []
        self.status = 201
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                service.signed.append(self.headers["Authorization"])
                self.send_response(service.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not into the test's output."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/phone"


@pytest.fixture
def service(settings: Settings) -> Iterator[PushService]:
    key = ec.generate_private_key(ec.SECP256R1())
    settings.VAPID_PRIVATE_KEY = text(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    settings.PUSH_HOSTS = ["127.0.0.1"]
    made = PushService()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def phone() -> ec.EllipticCurvePrivateKey:
    """The key that a browser made for its subscription."""
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def amir(client: Client) -> Handyman:
    """Amir, who is logged in."""
    user = User.objects.create_user("amir", is_staff=True)
    user.groups.add(Group.objects.get(name="Handymen"))
    client.force_login(user)
    work = factories.service(name="Tap repair")
    return factories.handyman(work, user=user, name="Amir", email="amir@example.com")


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def subscribed(client: Client, service: PushService, phone: ec.EllipticCurvePrivateKey, **changed: str) -> int:
    point = phone.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    form = {"action": "push", "endpoint": service.url, "p256dh": text(point), "auth": text(AUTH)}
    return client.post("/crew/phone/", form | changed).status_code


def booked(handyman: Handyman) -> Booking:
    return scheduling.book(
        service=handyman.skills.get(),
        starts_at=factories.tomorrow(9, days=5),
        customer=factories.customer(customer_name="Zebedee Quill"),
        idempotency_key="form",
    )


def notified() -> list[str]:
    """Run what is due; the handyman's e-mails."""
    notifications.hand_over()
    for job in ProcrastinateJob.objects.filter(task_name="send_notifications").order_by("id"):
        tasks.send_notifications(**job.args)
    return [str(each.subject) for each in mail.outbox if each.to == ["amir@example.com"]]


def test_a_new_visit_is_pushed_to_his_phone_instead_of_mailed(
    amir: Handyman, client: Client, service: PushService, phone: ec.EllipticCurvePrivateKey
) -> None:
    assert subscribed(client, service, phone) == subscribed(client, service, phone) == 302
    booked(amir)
    assert notified() == []
    (body,) = service.bodies
    told = json.loads(http_ece.decrypt(body, private_key=phone, auth_secret=AUTH, version="aes128gcm"))
    assert told["title"].startswith("New: Tap repair, ")
    assert "Zebedee" not in json.dumps(told)
    assert service.signed[0].startswith("vapid ")
    assert push.public_key() in service.signed[0]


@pytest.mark.parametrize(("status", "left"), [(410, 0), (404, 0), (500, 1), (429, 1)])
def test_where_no_phone_is_reached_the_email_goes(
    amir: Handyman, client: Client, service: PushService, phone: ec.EllipticCurvePrivateKey, status: int, left: int
) -> None:
    subscribed(client, service, phone)
    service.status = status
    booked(amir)
    assert [subject[:4] for subject in notified()] == ["New:"]
    assert PushSubscription.objects.count() == left, "a phone that is gone is forgotten"


def test_a_push_service_that_does_not_answer_costs_no_email(
    amir: Handyman, client: Client, service: PushService, phone: ec.EllipticCurvePrivateKey, heard: list[events.Event],
    django_capture_on_commit_callbacks: object,
) -> None:  # fmt: skip
    subscribed(client, service, phone, endpoint="http://127.0.0.1:9/nobody")
    booked(amir)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        assert len(notified()) == 1
    assert any(isinstance(each, events.PushFailed) for each in heard)


def test_a_phone_will_do_for_who_has_no_address(
    amir: Handyman, client: Client, service: PushService, phone: ec.EllipticCurvePrivateKey
) -> None:
    Handyman.objects.update(email="")
    subscribed(client, service, phone)
    booked(amir)
    notified()
    assert len(service.bodies) == 1
    client.post("/crew/phone/", {"action": "push_off"})
    scheduling.cancel(booking=Booking.objects.get(), by=By.STAFF)
    notified()
    assert len(service.bodies) == 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://169.254.169.254/latest",
        "https://push.example.com/x",
        "https://127.0.0.1.example.com/",
        "file:///etc",
        "//[",
    ],
)
def test_it_writes_to_push_services_alone(
    amir: Handyman, client: Client, service: PushService, phone: ec.EllipticCurvePrivateKey, endpoint: str
) -> None:
    assert subscribed(client, service, phone, endpoint=endpoint) == 422
    assert not PushSubscription.objects.exists()


def entries(client: Client, **form: str) -> tuple[str, list[dict[str, str]]]:
    """A calendar's new address, and the visits in it."""
    assert client.post("/crew/phone/", {"action": "feed", **form}).status_code == 302
    address = f"/crew/calendar/{CalendarFeed.objects.get().token}.ics"
    assert address in client.get("/crew/phone/").content.decode()
    answer = Client().get(address)
    events_ = Calendar.from_ical(answer.content).walk("VEVENT")
    return address, [{name: str(each[name]) for name in ("SUMMARY", "LOCATION", "STATUS")} for each in events_]


def test_his_calendar_has_his_visits_with_names_only_if_he_wants_them(amir: Handyman, client: Client) -> None:
    at = midnight(timezone.localdate()) + timedelta(days=2, hours=9)
    mine = {"customer_name": "Jo Bell", "address": "14 Mill Lane"}
    factories.booking(service=amir.skills.get(), handyman=amir, starts_at=at, **mine)
    off = factories.booking(service=amir.skills.get(), handyman=amir, starts_at=at + timedelta(hours=5))
    Booking.objects.filter(pk=off.pk).update(status="cancelled")
    BookingEvent.objects.create(booking=off, kind="created", by="customer")
    factories.booking(service=amir.skills.get(), handyman=factories.handyman(amir.skills.get()), starts_at=at)
    _, plain = entries(client)
    assert plain == [
        {"SUMMARY": "Tap repair, SE15", "LOCATION": "SE15", "STATUS": "CONFIRMED"},
        {"SUMMARY": "Tap repair, SE15", "LOCATION": "SE15", "STATUS": "CANCELLED"},
    ]
    _, named = entries(client, names="on")
    assert named[0] == {"SUMMARY": "Tap repair, Jo Bell", "LOCATION": "14 Mill Lane, SE15 4QL", "STATUS": "CONFIRMED"}
    assert named[1] == plain[1]


def test_a_calendars_address_stops_when_it_is_revoked_or_he_leaves(amir: Handyman, client: Client) -> None:
    first, _ = entries(client)
    second, _ = entries(client)
    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200
    Handyman.objects.update(active=False)
    assert Client().get(second).status_code == 404
    Handyman.objects.update(active=True)
    User.objects.update(is_active=False)
    assert Client().get(second).status_code == 404
    User.objects.update(is_active=True, is_staff=False)
    assert Client().get(second).status_code == 404
    User.objects.update(is_staff=True)
    client.post("/crew/phone/", {"action": "feed_off"})
    assert Client().get(second).status_code == 404
    assert Client().get("/crew/calendar/forged.ics").status_code == 404


def test_what_he_switched_on_ends_with_his_account(
    amir: Handyman, client: Client, admin_client: Client, service: PushService, phone: ec.EllipticCurvePrivateKey
) -> None:
    address, _ = entries(client)
    subscribed(client, service, phone)
    User.objects.filter(username="amir").update(is_active=False)
    amir.refresh_from_db()
    assert not push.send(amir, title="New", tag="1")
    other = User.objects.create_user("beth", is_staff=True)
    other.groups.add(Group.objects.get(name="Handymen"))
    page = f"/admin/bookings/handyman/{amir.pk}/change/"
    assert admin_client.post(page, posted(admin_client.get(page).content, user=str(other.pk))).status_code == 302
    amir.refresh_from_db()
    assert amir.user == other
    assert Client().get(address).status_code == 404, "who had the account before knows the address"
    assert not push.send(amir, title="New", tag="2")
    assert not service.bodies
