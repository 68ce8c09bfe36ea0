"""How a visit ends: what may be recorded, and when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling, tasks
from bookings.messaging import calendar_entry, emails
from bookings.models import Booking, Payment, Status, TimeOff
from bookings.scheduling import By
from tests import factories
from tests.forms import act, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def visit() -> Booking:
    """One that is a few days ahead."""
    service = factories.service()
    return factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(9))


def begun(visit: Booking) -> datetime:
    return visit.starts_at + timedelta(minutes=1)


def test_it_records_how_a_visit_ended(visit: Booking) -> None:
    assert scheduling.complete(booking=visit, now=begun(visit)).status == Status.COMPLETED
    missed = scheduling.no_show(booking=visit, now=begun(visit))
    assert missed.status == Status.NO_SHOW
    with pytest.raises(scheduling.NotPossible):
        scheduling.complete(booking=missed, now=begun(visit))


@pytest.mark.parametrize("end", [scheduling.complete, scheduling.no_show])
def test_it_ends_no_visit_that_has_not_begun(visit: Booking, end: object) -> None:
    with pytest.raises(scheduling.TooEarly):
        end(booking=visit, now=visit.starts_at - timedelta(seconds=1))  # type: ignore[operator] # one of the two
    visit.refresh_from_db()
    assert visit.status == Status.CONFIRMED
    assert not visit.events.exists()


def test_it_writes_the_history_by_the_clock_of_the_business(visit: Booking) -> None:
    before = timezone.localtime(visit.starts_at)
    moved = scheduling.move(booking=visit, starts_at=factories.tomorrow(12), by=scheduling.By.STAFF)
    assert moved.events.get().note == f"from {before:%a %d %b %Y %H:%M} with {visit.handyman.name}"


HOUR = timedelta(hours=1)


@pytest.fixture
def booked() -> Booking:
    """A visit a few days ahead, as its customer booked it."""
    service = factories.service()
    factories.handyman(service)
    return scheduling.book(
        service=service, starts_at=factories.tomorrow(9, days=3), customer=factories.customer(), idempotency_key="form"
    )


def kinds(booking: Booking) -> list[str]:
    return [event.kind for event in booking.events.all()]


@pytest.mark.parametrize("end", [scheduling.complete, scheduling.no_show])
def test_it_takes_back_within_a_day_how_a_visit_ended(booked: Booking, end: Callable[..., Booking]) -> None:
    ended = end(booking=booked, now=booked.starts_at + HOUR)
    at = ended.events.latest("pk").at
    assert scheduling.undoable_until(ended) == at + timedelta(days=1)
    with pytest.raises(scheduling.TooLate):
        scheduling.undo(booking=ended, now=at + timedelta(days=1, seconds=1))
    assert scheduling.undo(booking=ended, now=at + timedelta(hours=23)).status == Status.CONFIRMED
    assert kinds(booked) == ["created", ended.status, "reopened"]
    with pytest.raises(scheduling.NotPossible):
        scheduling.undo(booking=booked)


def test_it_takes_back_a_cancellation_and_tells_the_customer(booked: Booking) -> None:
    cancelled = scheduling.cancel(booking=booked, by=By.STAFF)
    restored = scheduling.undo(booking=cancelled)
    assert (restored.status, restored.starts_at, restored.handyman) == ("confirmed", booked.starts_at, booked.handyman)
    assert restored.reminder_at is not None
    assert kinds(booked) == ["created", "cancelled", "reinstated"]
    job = ProcrastinateJob.objects.filter(task_name="send_booking_email").latest("id").args
    tasks.send_booking_email(booking_id=job["booking_id"], kind=job["kind"], sequence=job["sequence"])
    assert mail.outbox[0].subject == f"Your booking {booked.reference} stands after all"
    entry = calendar_entry.invitation(restored)
    assert (entry["method"], entry.walk("VEVENT")[0]["sequence"]) == ("REQUEST", 2)


def test_it_sends_no_mail_that_the_undo_has_overtaken(booked: Booking) -> None:
    cancelled = scheduling.cancel(booking=booked, by=By.STAFF)
    scheduling.undo(booking=cancelled)
    tasks.send_booking_email(booking_id=booked.pk, kind="cancelled", sequence=cancelled.sequence)
    assert mail.outbox == []


def another(booked: Booking) -> None:
    scheduling.book(
        service=booked.service, starts_at=booked.starts_at, customer=factories.customer(), idempotency_key="another"
    )


def absence(booked: Booking) -> None:
    TimeOff.objects.create(handyman=booked.handyman, starts_at=booked.starts_at, ends_at=booked.ends_at)


@pytest.mark.parametrize(("meanwhile", "reason"), [(another, "taken"), (absence, "closed")])
def test_it_takes_no_cancellation_back_whose_time_is_gone(
    booked: Booking, meanwhile: Callable[[Booking], None], reason: str
) -> None:
    cancelled = scheduling.cancel(booking=booked, by=By.STAFF)
    meanwhile(booked)
    with pytest.raises(scheduling.SlotUnavailable) as refusal:
        scheduling.undo(booking=cancelled)
    assert refusal.value.code == reason
    assert refusal.value.alternatives
    booked.refresh_from_db()
    assert booked.status == Status.CANCELLED


def test_it_takes_no_missed_visit_back_where_another_stands_now(booked: Booking) -> None:
    booked.take_time(timezone.now() - 3 * HOUR)
    booked.save()
    missed = scheduling.no_show(booking=booked)
    factories.booking(service=booked.service, handyman=booked.handyman, starts_at=booked.starts_at)
    with pytest.raises(scheduling.SlotTaken):
        scheduling.undo(booking=missed)


def test_it_makes_no_visit_of_a_hold_that_was_let_go(booked: Booking) -> None:
    held = scheduling.hold(
        service=booked.service,
        starts_at=factories.tomorrow(14, days=3),
        customer=factories.customer(),
        idempotency_key="held",
        expires_in=HOUR,
    )
    let_go = scheduling.cancel(booking=held, by=By.STAFF)
    assert scheduling.undoable_until(let_go) is None
    with pytest.raises(scheduling.NotPossible):
        scheduling.undo(booking=let_go)


def test_it_says_what_becomes_of_a_deposit_that_is_on_its_way_back(booked: Booking) -> None:
    Payment.objects.create(
        booking=booked,
        amount_pence=2000,
        currency="gbp",
        status="refunding",
        intent_id="pi",
        session_expires_at=timezone.now(),
    )
    said = str(emails.booking_email(booked, "restored").body)
    assert "Your deposit of £20 goes back to your card all the same" in said
    assert "paid, taken off the price" not in said


def messages(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def test_it_offers_staff_to_undo_and_says_why_not(admin_client: Client, booked: Booking) -> None:
    page = f"/admin/bookings/booking/{booked.pk}/change/"
    assert "Undo" not in admin_client.get(page).content.decode()
    scheduling.cancel(booking=booked, by=By.STAFF)
    assert "Undo: it is not cancelled" in admin_client.get(page).content.decode()
    assert "1 booking confirmed again" in messages(submit(admin_client, page, undo="1"))
    scheduling.cancel(booking=booked, by=By.STAFF)
    another(booked)
    refused = messages(act(admin_client, "/admin/bookings/booking/", "undo", booked))
    assert "not confirmed again: That time is taken. Free nearby: " in refused
