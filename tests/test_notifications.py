"""Handymen and the office are notified of bookings, as often as each chooses, with what each needs to know."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import transaction
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling, tasks
from bookings.messaging import notifications
from bookings.models import Booking, Handyman, HowOften, Notification, OfficeContact, Service
from bookings.personal_data import erasure
from bookings.scheduling import By
from tests import factories

pytestmark = pytest.mark.django_db
LONDON = ZoneInfo("Europe/London")
SEVEN = datetime(2027, 3, 1, 7, tzinfo=LONDON)  # a Monday


@pytest.fixture
def service() -> Service:
    return factories.service(name="Shelves")


@pytest.fixture
def grace(service: Service) -> Handyman:
    return factories.handyman(service, name="Grace", email="grace@example.com")


def book(service: Service, hour: int = 9, **customer: str) -> Booking:
    return scheduling.book(
        service=service,
        starts_at=factories.tomorrow(hour, days=5),
        customer=factories.customer(**customer),
        idempotency_key=f"form {hour}",
    )


def delivered(now: datetime | None = None) -> dict[str, EmailMessage]:
    """Run what is due, and what that puts into the queue; the e-mails by address."""
    notifications.hand_over(now)
    sent = mail.outbox[:]
    for job in ProcrastinateJob.objects.filter(task_name="send_notifications").order_by("id"):
        tasks.send_notifications(**job.args)
    return {message.to[0]: message for message in mail.outbox[len(sent) :]}


def test_a_new_booking_is_in_the_mail_of_its_handyman_and_of_the_office(service: Service, grace: Handyman) -> None:
    booking = book(service, customer_name="Jo Bell", address="14 Mill Lane", notes="Ring twice")
    post = delivered()
    assert set(post) == {"grace@example.com", "office@example.com"}
    handymans, office = post["grace@example.com"], post["office@example.com"]
    assert handymans.subject.startswith("New: Shelves, ")
    for needed in ("Jo Bell", "07700 900123", "14 Mill Lane, SE15 4QL", "> Ring twice", booking.reference):
        assert needed in handymans.body
    assert "Grace" in office.body
    assert f"/admin/bookings/booking/{booking.pk}/change/" in office.body
    for private in ("14 Mill Lane", "Ring twice"):
        assert private not in office.body, "it is one click away, behind the login"
    assert delivered() == {}


def test_a_move_to_a_colleague_is_in_the_mail_of_both(service: Service, grace: Handyman) -> None:
    booking = book(service, customer_name="Jo Bell", address="14 Mill Lane")
    delivered()
    amara = factories.handyman(service, name="Amara", email="amara@example.com")
    scheduling.move(booking=booking, starts_at=booking.starts_at, handyman=amara, by=By.STAFF)
    post = delivered(factories.tomorrow())
    assert post["grace@example.com"].subject.startswith("Not yours any more: Shelves")
    assert "Jo Bell" not in post["grace@example.com"].body
    assert "14 Mill Lane" not in post["grace@example.com"].body
    assert post["amara@example.com"].subject.startswith("New for you: Shelves")
    assert "14 Mill Lane" in post["amara@example.com"].body
    assert "Handyman  Amara, before: Grace" in post["office@example.com"].body


def test_a_move_says_the_time_before_and_a_cancellation_its_reason(service: Service, grace: Handyman) -> None:
    booking = book(service)
    delivered()
    booking = scheduling.move(booking=booking, starts_at=factories.tomorrow(15, days=6), by=By.CUSTOMER)
    moved = delivered(factories.tomorrow())["grace@example.com"]
    assert moved.subject.startswith("Moved: ")
    assert "Before    " in moved.body
    scheduling.cancel(booking=booking, by=By.STAFF, note="The van is broken")
    cancelled = delivered(factories.tomorrow(11))["grace@example.com"]
    assert cancelled.subject.startswith("Cancelled: ")
    assert "staff: The van is broken" in cancelled.body


def test_corrected_details_are_in_the_mail_with_what_was_corrected(service: Service, grace: Handyman) -> None:
    booking = book(service)
    delivered()
    Booking.objects.update(customer_phone="07700 900999")
    notifications.add(booking.events.create(kind="corrected", by=By.CUSTOMER, note="phone, notes"))
    for message in delivered(factories.tomorrow()).values():
        assert message.subject.startswith("Details corrected: Shelves")
        assert "Corrected phone, notes" in message.body
        assert "07700 900999" in message.body


def test_a_slot_that_is_only_held_is_in_no_mail_until_it_is_confirmed(service: Service, grace: Handyman) -> None:
    asked: dict[str, Any] = {"service": service, "customer": factories.customer(), "expires_in": timedelta(minutes=30)}
    lost = scheduling.hold(starts_at=factories.tomorrow(9, days=5), idempotency_key="a", **asked)
    scheduling.move(booking=lost, starts_at=factories.tomorrow(12, days=5), by=By.STAFF)
    scheduling.cancel(booking=lost, by=By.CUSTOMER)
    kept = scheduling.hold(starts_at=factories.tomorrow(9, days=5), idempotency_key="b", **asked)
    assert not Notification.objects.exists()
    scheduling.confirm(booking=kept, by=By.SYSTEM)
    assert delivered()["grace@example.com"].subject.startswith("New: ")


@pytest.mark.parametrize("how_often", [HowOften.NEVER, HowOften.AT_ONCE])
def test_whoever_chose_never_left_or_has_no_address_gets_nothing(
    service: Service, grace: Handyman, how_often: HowOften
) -> None:
    gone = how_often == HowOften.AT_ONCE
    Handyman.objects.update(notifications=how_often, email="grace@example.com" if gone else "")
    OfficeContact.objects.update(notifications=HowOften.NEVER)
    book(service)
    Handyman.objects.update(active=False)
    assert delivered() == {}
    assert not Notification.objects.exists()


def test_changes_in_quick_succession_come_in_one_mail(service: Service, grace: Handyman) -> None:
    book(service, 9)
    now = factories.tomorrow(8)
    assert delivered(now)["office@example.com"].subject.startswith("New: ")
    for hour in (11, 13, 15):
        book(service, hour)
    assert delivered(now + timedelta(minutes=4)) == {}
    later = delivered(now + timedelta(minutes=5))
    assert later["office@example.com"].subject == "3 bookings changed"
    assert later["office@example.com"].body.count("NEW: Shelves") == 3


def test_a_mail_lists_a_hundred_changes_and_counts_the_rest(
    service: Service, grace: Handyman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "MOST_IN_ONE", 2)
    for hour in (9, 11, 13, 15):
        book(service, hour)
    message = delivered()["office@example.com"]
    assert message.subject == "4 bookings changed"
    assert message.body.count("NEW: Shelves") == 2
    assert "And 2 more changes" in message.body


def test_a_digest_comes_at_seven_once_and_only_when_there_is_something(service: Service, grace: Handyman) -> None:
    OfficeContact.objects.update(notifications=HowOften.DAILY)
    Handyman.objects.update(notifications=HowOften.DAILY)
    assert delivered(SEVEN) == {}, "nothing happened"
    booking = book(service)
    booking.events.update(at=SEVEN - timedelta(hours=12))
    assert delivered(SEVEN - timedelta(hours=9)) == {}
    assert delivered(SEVEN - timedelta(minutes=1)) == {}
    assert set(delivered(SEVEN + timedelta(hours=3))) == {"grace@example.com", "office@example.com"}, "after an outage"
    book(service, 15).events.update(at=SEVEN + timedelta(hours=4))
    assert delivered(SEVEN + timedelta(hours=5)) == {}
    assert "NEW: Shelves" in delivered(SEVEN + timedelta(days=1))["office@example.com"].body


def test_a_change_that_is_rolled_back_notifies_nobody(service: Service, grace: Handyman) -> None:
    with transaction.atomic():
        book(service)
        assert Notification.objects.count() == 2
        transaction.set_rollback(True)
    assert not Notification.objects.exists()


def test_a_task_that_is_repeated_sends_nothing_twice(service: Service, grace: Handyman) -> None:
    book(service)
    delivered()
    before = len(mail.outbox)
    for job in ProcrastinateJob.objects.filter(task_name="send_notifications"):
        tasks.send_notifications(**job.args)
    assert len(mail.outbox) == before


def test_a_customers_words_cannot_pass_for_ours(service: Service, grace: Handyman) -> None:
    book(
        service,
        customer_name="Jo\r\nBcc: all@example.com",
        address="1 Lane\n\nNEW: Shelves",
        notes="Fine.\r\n\r\nREFERENCE FAKE\x1b[2J\u202egnp",
    )
    for message in delivered().values():
        assert message.message()["Bcc"] is None
        assert message.alternatives == [] if hasattr(message, "alternatives") else True
        assert message.body.count("\nNEW: Shelves") == 0
        assert not {"\x1b", "\u202e"} & set(message.body)
        assert "\nREFERENCE FAKE" not in message.body
        assert "Jo" not in message.subject


def test_an_erased_customer_is_in_no_mail_but_the_handyman_learns_that_the_visit_is_off(
    service: Service, grace: Handyman
) -> None:
    booking = book(service, customer_name="Jo Bell", customer_email="jo@example.com")
    erasure.erase("jo@example.com", cancel=True)
    for message in delivered().values():
        assert message.subject.startswith("Cancelled: ")
        assert booking.reference in message.body
        assert "Jo Bell" not in message.body


def test_staff_choose_in_the_admin_how_often(admin_client: Client, service: Service, grace: Handyman) -> None:
    shown = admin_client.get("/admin/bookings/officecontact/").content.decode()
    assert "office@example.com (STAFF_EMAIL)" in shown
    form = {"email": "desk@example.com", "notifications": "daily"}
    assert admin_client.post("/admin/bookings/officecontact/add/", form).status_code == 302
    assert OfficeContact.objects.get(email="desk@example.com").notifications == HowOften.DAILY
    page = admin_client.get(f"/admin/bookings/handyman/{grace.pk}/change/").content.decode()
    assert 'name="email"' in page
    assert 'name="notifications"' in page
