"""What a customer is promised: minutes to mend a mistake, and a reminder, where there is one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling, tasks
from bookings.messaging import emails, reminders
from bookings.models import Booking, SentEmail, Service, Status
from bookings.scheduling import By
from tests import factories, payments

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 6, 8, 11, tzinfo=UTC)  # a Monday, in London
MINUTE = timedelta(minutes=1)


@pytest.fixture
def service() -> Service:
    service = factories.service(name="Tap repair")
    factories.handyman(service)
    return service


def book(service: Service, starts_at: datetime, now: datetime = NOON) -> Booking:
    asked: dict[str, Any] = {"customer": factories.customer(), "idempotency_key": f"{starts_at} {now}"}
    return scheduling.book(service=service, starts_at=starts_at, now=now, **asked)


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 6, day, hour, tzinfo=UTC)


@pytest.mark.parametrize("change", ["move", "cancel"])
def test_it_lets_a_mistake_be_mended_for_a_quarter_of_an_hour(service: Service, change: str) -> None:
    """Booked for the next morning: the usual deadline has passed before it is booked."""
    booking = book(service, at(9))
    assert booking.change_deadline == NOON + 15 * MINUTE
    with pytest.raises(scheduling.TooLate):
        scheduling.cancel(booking=booking, by=By.CUSTOMER, now=NOON + 16 * MINUTE)
    in_time = NOON + 14 * MINUTE
    if change == "cancel":
        assert scheduling.cancel(booking=booking, by=By.CUSTOMER, now=in_time).status == Status.CANCELLED
    else:
        moved = scheduling.move(booking=booking, starts_at=at(9, 10), by=By.CUSTOMER, now=in_time)
        assert moved.change_deadline == in_time + 15 * MINUTE, "the new time may be a mistake as well"


def test_it_keeps_the_usual_deadline_where_that_is_later(service: Service) -> None:
    booking = book(service, at(12))
    assert booking.change_deadline == at(11)


def test_it_allows_no_change_once_the_visit_has_begun(service: Service) -> None:
    booking = scheduling.book(
        service=service,
        starts_at=at(8, 12),
        customer=factories.customer(),
        idempotency_key="phone",
        by=By.STAFF,
        now=at(8, 12) - 5 * MINUTE,
    )
    assert booking.change_deadline == at(8, 12)


def test_it_starts_the_minutes_again_when_the_deposit_is_paid(service: Service) -> None:
    held = scheduling.hold(
        service=service,
        starts_at=factories.tomorrow(9),
        customer=factories.customer(),
        idempotency_key="held",
        expires_in=30 * MINUTE,
        now=timezone.now() - 20 * MINUTE,
    )
    paid = scheduling.confirm(booking=held, by=By.SYSTEM)
    assert paid.grace_until is not None
    assert paid.grace_until > timezone.now() + 14 * MINUTE


def test_it_tells_the_form_s_reader_how_long_a_visit_can_be_changed(client: Client, service: Service) -> None:
    soon = timezone.now() + timedelta(hours=20)
    far = timezone.now() + timedelta(days=4)
    pages = [
        " ".join(client.get(f"/book/{service.slug}/details/?start={start:%Y-%m-%dT%H:00:00Z}").content.decode().split())
        for start in (soon, far)
    ]
    within, before = "within 15 minutes of booking", "Free to move or cancel up to 24 hours before"
    assert [(within in page, before in page) for page in pages] == [(True, False), (False, True)]


@pytest.mark.parametrize(("starts_at", "due"), [(at(10), at(9, 8)), (at(9), None), (at(8, 15), None)])
def test_it_plans_a_reminder_only_where_there_is_a_day_for_one(
    service: Service, starts_at: datetime, due: datetime | None
) -> None:
    """At nine o'clock in London of the day before."""
    assert book(service, starts_at).reminder_at == due


def test_it_promises_on_the_page_what_will_be_sent(client: Client, service: Service) -> None:
    booking = scheduling.book(
        service=service, starts_at=factories.tomorrow(9, days=3), customer=factories.customer(), idempotency_key="x"
    )
    url = f"{booking.get_absolute_url()}confirmed/"
    assert "you get a reminder" in client.get(url).content.decode()
    Booking.objects.update(reminder_at=None)
    assert "reminder" not in client.get(url).content.decode()
    form = client.get(f"/book/{service.slug}/details/?start={booking.starts_at:%Y-%m-%dT%H:%M:%SZ}")
    assert "reminder" not in form.content.decode()


def reminded() -> list[dict[str, Any]]:
    return list(
        ProcrastinateJob.objects.filter(task_name="send_reminder").order_by("id").values_list("args", flat=True)
    )


def test_it_hands_over_each_reminder_once_however_late(service: Service) -> None:
    booking = book(service, at(12))
    assert reminders.hand_over(at(11, 7)) == 0
    assert reminders.hand_over(at(11, 20)) == 1, "the worker was down all day"
    assert reminders.hand_over(at(11, 21)) == 0
    (job,) = reminded()
    assert {name: job[name] for name in ("booking_id", "starts_at")} == {
        "booking_id": booking.pk,
        "starts_at": booking.starts_at.isoformat(),
    }


def test_it_plans_the_reminder_of_a_moved_visit_again_and_drops_that_of_a_cancelled_one(service: Service) -> None:
    moved, cancelled = book(service, at(12)), book(service, at(12, 12))
    moved = scheduling.move(booking=moved, starts_at=at(15), by=By.CUSTOMER, now=NOON)
    scheduling.cancel(booking=cancelled, by=By.CUSTOMER, now=NOON)
    assert moved.reminder_at == at(14, 8)
    assert reminders.hand_over(at(11, 9)) == 0
    assert reminders.hand_over(at(14, 9)) == 1


def test_it_sends_a_reminder_once_and_of_what_still_stands(service: Service) -> None:
    booking = scheduling.book(
        service=service, starts_at=factories.tomorrow(9, days=3), customer=factories.customer(), idempotency_key="x"
    )
    reminders.hand_over(factories.tomorrow(9, days=2) + timedelta(hours=1))
    (job,) = reminded()
    again = {name: job[name] for name in ("booking_id", "starts_at")}
    moved = scheduling.move(booking=booking, starts_at=factories.tomorrow(10, days=3), by=By.CUSTOMER)
    tasks.send_reminder(**again)
    assert mail.outbox == []
    for _ in range(2):
        tasks.send_reminder(booking_id=booking.pk, starts_at=moved.starts_at.isoformat())
    assert len(mail.outbox) == 1
    SentEmail.objects.all().delete()
    scheduling.cancel(booking=moved, by=By.CUSTOMER)
    tasks.send_reminder(booking_id=booking.pk, starts_at=moved.starts_at.isoformat())
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(("days", "when"), [(1, "tomorrow"), (0, "today")])
def test_it_says_which_day_a_late_reminder_means(service: Service, days: int, when: str) -> None:
    booking = factories.booking(
        service=service, handyman=service.handymen.get(), starts_at=timezone.now() + timedelta(days=days)
    )
    reminder = emails.booking_email(booking, "reminder")
    assert reminder.subject == f"{when.capitalize()}: Tap repair"
    assert f"we come to you {when}" in str(reminder.body)


def test_the_e_mail_of_a_hold_over_midnight_names_the_day_on_which_it_ends() -> None:
    job = payments.service()
    factories.handyman(job)
    held = payments.hold(job)
    held.hold_expires_at = datetime(2031, 7, 1, 23, 10, tzinfo=UTC)
    assert "until 12:10am on Wednesday 2 July" in str(emails.booking_email(held, "held").body)
