"""Deposits that go back, or stay: by cancellation, by staff, from Stripe."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling, tasks
from bookings.models import Booking, Payment, Status
from bookings.payments import checkout, stripe_api
from bookings.scheduling import By
from harness.peers.stripe import StripePeer
from tests import factories, forms, payments
from tests.payments import Kind, again, paid

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(stripe_on: StripePeer) -> Booking:
    service = payments.service()
    factories.handyman(service)
    return payments.hold(service)


def test_it_refunds_what_is_cancelled_in_time(client: Client, stripe_on: StripePeer, held: Booking) -> None:
    booking = paid(stripe_on, held)
    client.post(booking.get_absolute_url(), {"action": "cancel"})
    page = client.get(booking.get_absolute_url()).content.decode()
    assert "Your deposit of £20 is on its way back" in page
    stripe_on.fail("lose", times=1)
    payments.work()  # done at Stripe, but never answered
    payments.work()
    assert [each["amount"] for each in stripe_on.ledger()["refund"]] == [payments.DEPOSIT]
    assert "We have sent your deposit of £20 back" in client.get(booking.get_absolute_url()).content.decode()
    tasks.send_booking_email(booking_id=booking.pk, kind="cancelled", sequence=1)
    assert "Your deposit of £20 is on its way back" in str(mail.outbox[0].body)


def test_it_returns_what_is_paid_after_the_time_was_let_go(
    client: Client, stripe_on: StripePeer, held: Booking
) -> None:
    """In another tab, where Stripe's page was still open."""
    url = checkout.start(booking=held)
    client.post(held.get_absolute_url(), {"action": "cancel"})
    assert stripe_on.pay(url)
    for _ in range(2):
        payments.work()
    after = again(held)
    assert (after.status, after.payment.status) == (Status.CANCELLED, Payment.Status.REFUNDED)
    told = ProcrastinateJob.objects.filter(task_name="send_booking_email").values_list("args__kind", flat=True)
    assert list(told) == ["refunded"]
    tasks.send_booking_email(booking_id=held.pk, kind="refunded", sequence=1)
    assert "your deposit of £20 back to your card" in str(mail.outbox[0].body)


def test_it_takes_a_refund_from_stripes_dashboard_as_done(stripe_on: StripePeer, held: Booking) -> None:
    booking = paid(stripe_on, held)
    stripe_api.refund(
        intent_id=str(booking.payment.intent_id), amount=payments.DEPOSIT, currency="gbp", key="the dashboard's"
    )
    scheduling.cancel(booking=booking, by=By.CUSTOMER)
    payments.work()
    assert again(booking).payment.status == Payment.Status.REFUNDED
    assert len(stripe_on.ledger()["refund"]) == 1


def test_it_does_not_refund_too_late_to_cancel(client: Client, stripe_on: StripePeer, held: Booking) -> None:
    booking = paid(stripe_on, held)
    with pytest.raises(scheduling.TooLate):
        scheduling.cancel(booking=booking, by=By.CUSTOMER, now=booking.change_deadline + timedelta(seconds=1))
    assert payments.work() == 0
    assert again(booking).payment.status == Payment.Status.PAID


@pytest.fixture
def office(client: Client) -> Client:
    """A member of staff who may do everything but refund."""
    user = User.objects.create_user("office", is_staff=True)
    kept = Permission.objects.exclude(codename="refund_payment")
    user.user_permissions.set(kept.filter(content_type__app_label="bookings"))
    client.force_login(user)
    return client


def test_it_refunds_from_admin_by_those_who_may(office: Client, stripe_on: StripePeer, held: Booking) -> None:
    payment = paid(stripe_on, held).payment
    address = f"/admin/bookings/payment/refund/?ids={payment.pk},999"
    assert office.post(address).status_code == 403
    assert "Refund and tell" not in office.get("/admin/bookings/payment/").content.decode()
    user = User.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="refund_payment"))
    assert "Refund and tell" in office.get("/admin/bookings/payment/").content.decode()
    assert held.reference in office.get(address).content.decode()
    assert again(held).payment.status == Payment.Status.PAID  # looking does nothing
    asked = forms.posted(office.get(address).content)
    for _ in range(2):
        office.post(address, asked)
    payments.work()
    after = again(held)
    assert (after.status, after.payment.status) == (Status.CONFIRMED, Payment.Status.REFUNDED)
    assert len(stripe_on.ledger()["refund"]) == 1
    assert after.events.get(kind=Kind.REFUNDING).user == user
    assert LogEntry.objects.filter(object_id=str(payment.pk), change_message__contains="Refund ordered").count() == 1
    page = office.get(f"/admin/bookings/payment/{payment.pk}/change/").content.decode()
    assert str(payment.intent_id) in page
    assert "refunded" in office.get(f"/admin/bookings/booking/{held.pk}/change/").content.decode()


@pytest.mark.parametrize("keep", [False, True])
def test_it_lets_staff_keep_a_deposit_when_they_cancel(
    keep: bool, office: Client, stripe_on: StripePeer, held: Booking
) -> None:
    booking = paid(stripe_on, held)
    address = f"/admin/bookings/booking/cancel/?ids={booking.pk}"
    assert "Keep the deposits" in office.get(address).content.decode()
    forms.submit(office, address, keep="on" if keep else None)
    payments.work()
    assert again(booking).status == Status.CANCELLED
    assert len(stripe_on.ledger()["refund"]) == (0 if keep else 1)
    tasks.send_booking_email(booking_id=booking.pk, kind="cancelled", sequence=1)
    written = mail.outbox[0]
    html = str(written.alternatives[0][0])  # type: ignore[union-attr]  # of what has several parts
    texts = [str(written.body), html, office.get(booking.get_absolute_url()).content.decode()]
    for text in texts:
        assert ("stays with us" in text) == keep
        assert "taken off the price" not in text.lower(), "money that stays is taken off nothing"
