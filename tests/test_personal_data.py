"""What is kept about a customer: given out whole, erased whole, forgotten in time."""

import json
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from PIL import Image
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from bookings import events, scheduling, tasks
from bookings.messaging import contact
from bookings.models import Booking, ContactMessage, MessagePhoto, SentEmail, Status
from bookings.personal_data import archive, erasure, forget, letters
from bookings.scheduling.history import By
from tests import factories, forms
from xfhandyman import tasks as site_tasks

EMAIL = "Robin.Example@example.com"
ROBIN = {"customer_name": "Robin Example", "customer_email": EMAIL, "postcode": "SE15 4QL", "notes": "The blue door."}


def booked(days: int = 3, **fields: str) -> Booking:
    service = factories.service()
    factories.handyman(service)
    return scheduling.book(
        service=service,
        starts_at=factories.tomorrow(days=days),
        customer=factories.customer(**ROBIN | fields),
        idempotency_key=f"key {days} {fields}",
    )


def visited(booking: Booking) -> Booking:
    """The same visit, two weeks ago."""
    booking.take_time(booking.starts_at - timedelta(days=14))
    booking.save()
    return scheduling.complete(booking=booking)


def wrote(body: str = "Ring Robin, please.") -> ContactMessage:
    photo = BytesIO()
    Image.new("RGB", (8, 8), "red").save(photo, "JPEG")
    return contact.receive(
        name="Robin",
        email=EMAIL.upper(),
        phone="07700 900200",
        topic=ContactMessage.Topic.QUESTION,
        body=body,
        idempotency_key=body,
        photos=[photo.getvalue()],
    )


def jobs() -> list[str]:
    return list(ProcrastinateJob.objects.exclude(task_name__startswith="builtin").values_list("task_name", flat=True))


@pytest.mark.django_db
def test_it_gives_out_everything_it_keeps(tmp_path: Path) -> None:
    booking, message = booked(), wrote()
    SentEmail.objects.create(key=f"booking:{booking.pk}:confirmation:0")
    booked(days=4, customer_email="somebody.else@example.com", customer_name="Alex")
    output = tmp_path / "robin.zip"
    call_command("customer", "export", EMAIL.lower(), output=output)
    with ZipFile(output) as zipped:
        told = json.loads(zipped.read("customer.json"))
        (photo,) = told["messages"][0]["photos"]
        assert Image.open(BytesIO(zipped.read(photo))).size == (8, 8)
    (kept,) = told["bookings"]
    assert {kept[name] for name in ROBIN} == set(ROBIN.values())
    assert kept["address"] == booking.address
    assert [each["kind"] for each in kept["history"]] == ["created"]
    assert [each["kind"] for each in kept["emails_sent"]] == ["confirmation"]
    assert told["messages"][0]["body"] == message.body
    assert "Alex" not in json.dumps(told)
    assert output.stat().st_mode & 0o077 == 0, "for its owner's eyes"
    with pytest.raises(CommandError, match="exists"):
        call_command("customer", "export", EMAIL, output=output)


@pytest.mark.django_db
def test_it_erases_for_good_and_leaves_the_books(capsys: pytest.CaptureFixture[str]) -> None:
    booking = visited(booked())
    link, price, times = booking.link_token, booking.price_pence, (booking.starts_at, booking.ends_at)
    other = booked(days=5, customer_email="somebody.else@example.com")
    booking.events.update(note="Robin was not in")
    wrote()
    wrote(body="And another thing")
    call_command("customer", "erase", EMAIL.swapcase())
    assert "Erased: 1 bookings, 2 messages, 2 photos" in capsys.readouterr().out
    booking.refresh_from_db()
    assert (booking.customer_name, booking.postcode) == ("Erased", "SE15")
    assert not any([booking.customer_email, booking.customer_phone, booking.address, booking.notes])
    assert (booking.price_pence, booking.starts_at, booking.ends_at) == (price, *times)
    assert booking.status == Status.COMPLETED
    assert set(booking.events.values_list("note", flat=True)) == {""}
    with pytest.raises(Booking.DoesNotExist):
        Booking.objects.for_link(link)
    assert not ContactMessage.objects.exists()
    assert not MessagePhoto.objects.exists()
    other.refresh_from_db()
    assert other.customer_email == "somebody.else@example.com"
    assert all(
        job.args["booking_id"] == other.pk for job in ProcrastinateJob.objects.filter(args__has_key="booking_id")
    )
    assert not ProcrastinateJob.objects.filter(args__has_key="message_id").exists()
    call_command("customer", "erase", EMAIL)
    assert "Nothing is kept under that address" in capsys.readouterr().out


@pytest.mark.django_db
def test_it_erases_nobody_who_is_expected_unless_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    past, ahead, message = visited(booked()), booked(days=6), wrote()
    with pytest.raises(CommandError, match=rf"still ahead \({ahead.reference}\).*--cancel"):
        call_command("customer", "erase", EMAIL)
    past.refresh_from_db()
    assert past.customer_email == EMAIL, "all or nothing"
    assert ContactMessage.objects.filter(pk=message.pk).exists()
    call_command("customer", "erase", EMAIL, cancel=True)
    ahead.refresh_from_db()
    assert (ahead.status, ahead.customer_name) == (Status.CANCELLED, "Erased")
    assert [event.kind for event in ahead.events.all()] == ["created", "cancelled"]
    assert not {"send_booking_email", "send_reminder", "send_message_to_staff"} & set(jobs())
    assert "tell the customer" in capsys.readouterr().out


@pytest.mark.django_db
def test_an_e_mail_already_on_its_way_finds_nobody() -> None:
    booking = booked()
    erasure.erase(EMAIL, cancel=True)
    booking.refresh_from_db()
    for kind, sequence in (("confirmation", 0), ("cancelled", booking.sequence)):
        tasks.send_booking_email(booking_id=booking.pk, kind=kind, sequence=sequence)
    tasks.send_reminder(booking_id=booking.pk, starts_at=booking.starts_at.isoformat())
    assert not mail.outbox


@pytest.mark.django_db(transaction=True)
def test_it_erases_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    booking, message = visited(booked()), wrote()
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'")
        cursor.execute("CREATE TRIGGER fail BEFORE UPDATE ON bookings_booking EXECUTE FUNCTION fail()")
    try:
        with pytest.raises(Exception, match="no"):
            erasure.erase(EMAIL)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER fail ON bookings_booking; DROP FUNCTION fail")
    assert ContactMessage.objects.filter(pk=message.pk, photos__isnull=False).exists()
    booking.refresh_from_db()
    assert booking.customer_email == EMAIL


@pytest.mark.django_db(transaction=True)
def test_it_says_how_many_and_never_who(heard: list[events.Event]) -> None:
    visited(booked())
    wrote()
    heard.clear()
    archive.write(EMAIL, BytesIO())
    erasure.erase(EMAIL)
    assert events.PersonalDataExported(bookings=1, messages=1) in heard
    assert events.PersonalDataErased(bookings=1, messages=1, why="request") in heard
    assert "obin" not in repr(heard)


def test_it_takes_a_customers_e_mails_out_of_the_files(tmp_path: Path, settings: Settings) -> None:
    settings.EMAIL_FILE_PATH = str(tmp_path)
    backend = mail.get_connection("django.core.mail.backends.filebased.EmailBackend", file_path=str(tmp_path))
    with backend:
        mail.EmailMessage("One", "Hello Robin", to=[f"Robin <{EMAIL}>"], connection=backend).send()
        mail.EmailMessage("Two", "Hello Alex", to=["alex@example.com"], connection=backend).send()
        body = f"From {EMAIL.upper()}, who writes with an ü" + " and goes on" * 20
        mail.EmailMessage("Three", body, to=["office@example.com"], connection=backend).send()
    mail.EmailMessage("Four", "Hello", to=[EMAIL], connection=backend).send()
    assert letters.forget(EMAIL.lower()) == 3
    (left,) = tmp_path.iterdir()
    assert left.read_text().count("Subject: ") == 1
    assert "Hello Alex" in left.read_text()
    assert letters.forget(EMAIL.lower()) == 0


@pytest.mark.django_db
def test_it_forgets_what_has_grown_old(settings: Settings) -> None:
    settings.KEEP_BOOKINGS_DAYS, settings.KEEP_MESSAGES_DAYS, settings.KEEP_SPAM_DAYS = 100, 50, 5
    recent, old = visited(booked()), visited(booked(days=4))
    old.take_time(old.starts_at - timedelta(days=100))
    old.save()
    ages = {"new": (1, False), "aged": (51, False), "spam": (6, True), "new spam": (4, True)}
    for body, (days, spam) in ages.items():
        message = wrote(body=body)
        ContactMessage.objects.filter(pk=message.pk).update(
            created_at=timezone.now() - timedelta(days=days), suspected_spam=spam
        )
    for _ in range(2):
        tasks.forget_old_records(timestamp=0)
        assert Booking.objects.get(pk=old.pk).customer_name == "Erased"
        assert Booking.objects.get(pk=recent.pk).customer_name == "Robin Example"
        assert set(ContactMessage.objects.values_list("body", flat=True)) == {"new", "new spam"}


@pytest.mark.django_db
def test_it_forgets_old_sign_ins() -> None:
    for days in (1, 8):
        attempt = AccessAttempt.objects.create(
            username="robin", ip_address="203.0.113.9", user_agent=str(days), failures_since_start=1
        )
        AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=timezone.now() - timedelta(days=days))
        Session.objects.create(session_key=f"key{days}", expire_date=timezone.now() + timedelta(days=2 - days))
    site_tasks.forget_sign_ins(timestamp=0)
    assert AccessAttempt.objects.count() == 1
    assert [session.session_key for session in Session.objects.all()] == ["key1"]


@pytest.mark.django_db
def test_it_anonymises_many_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget, "_AT_ONCE", 3)
    service = factories.service()
    handyman = factories.handyman(service)
    start = factories.tomorrow() - timedelta(days=3000)
    Booking.objects.bulk_create(
        factories.unsaved_booking(service=service, handyman=handyman, starts_at=start + timedelta(days=day))
        for day in range(10)
    )
    forget.old_records()
    assert set(Booking.objects.values_list("customer_email", flat=True)) == {""}
    assert Booking.objects.values("link_key").distinct().count() == 10


def _office(*permissions: str) -> Client:
    user = User.objects.create_user("office", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.django_db
def test_staff_give_out_and_erase_a_customer_in_the_admin() -> None:
    booking, message = booked(), wrote()
    office = _office("view_booking", "change_booking", "view_contactmessage", "erase_customer")
    page = forms.act(office, "/admin/bookings/booking/", "customer_data", booking).redirect_chain[-1][0]
    assert EMAIL not in page
    assert "1 booking and 1 message" in office.get(page).content.decode()
    zipped = office.post(page, {"do": "export"})
    assert EMAIL in ZipFile(BytesIO(zipped.content)).read("customer.json").decode()
    assert "no-store" in zipped["Cache-Control"]
    refused = forms.submit(office, page, do="erase")
    assert "visits are still ahead" in refused.content.decode()
    done = forms.submit(office, page, do="erase", cancel="on")
    assert "Erased: 1 booking(s), 1 message(s)" in done.content.decode()
    assert Booking.objects.get().customer_name == "Erased"
    assert {entry.object_id for entry in LogEntry.objects.filter(user__username="office")} == {
        str(booking.pk),
        str(message.pk),
    }
    assert office.get(page).status_code == 404
    form = office.get(f"/admin/bookings/booking/{booking.pk}/change/").content.decode()
    assert 'name="customer_email"' not in form, "what was erased is not written again"


@pytest.mark.django_db
def test_it_needs_a_permission_of_its_own() -> None:
    booking = booked()
    office = _office("view_booking", "change_booking")
    assert "customer_data" not in office.get("/admin/bookings/booking/").content.decode()
    for send in (office.get, office.post):
        assert send(f"/admin/bookings/booking/customer/?booking={booking.pk}").status_code == 403
    assert Client().get(f"/admin/bookings/booking/customer/?booking={booking.pk}").status_code == 302


@pytest.mark.django_db
def test_it_knows_who_rang_by_the_reference() -> None:
    rang, other = visited(booked(customer_email="")), visited(booked(days=4, customer_email=""))
    page = f"/admin/bookings/booking/customer/?booking={rang.pk}"
    office = _office("view_booking", "erase_customer")
    assert rang.reference in office.get(page).content.decode()
    call_command("customer", "erase", rang.reference.lower())
    rang.refresh_from_db()
    other.refresh_from_db()
    assert (rang.customer_name, other.customer_name) == ("Erased", "Robin Example")
    assert office.get(page).status_code == 404
    with pytest.raises(CommandError, match="nor the reference"):
        call_command("customer", "erase", rang.reference)


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["", "robin", "%"])
def test_it_refuses_what_is_no_address(email: str) -> None:
    with pytest.raises(CommandError, match="not an e-mail address"):
        call_command("customer", "erase", email)


@pytest.mark.django_db
def test_the_privacy_page_says_how_long(client: Client, settings: Settings) -> None:
    settings.KEEP_BOOKINGS_DAYS, settings.KEEP_MESSAGES_DAYS, settings.KEEP_BACKUPS_DAYS = 1095, 365, 45
    page = client.get("/privacy/").content.decode()
    for said in ("3 years after the visit", "Deleted after one year", "at most 45 days later"):
        assert said in page


@pytest.mark.django_db
def test_it_writes_down_that_staff_cancelled() -> None:
    booked()
    erasure.erase(EMAIL, cancel=True)
    assert Booking.objects.get().events.last().by == By.STAFF  # type: ignore[union-attr]  # it has a history
