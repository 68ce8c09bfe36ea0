"""Deposits, step by step, against Stripe's peer: what the customer sees, what staff can do, what nobody can fake."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from bookings import scheduling, tasks
from bookings.models import Booking, Handyman, Payment, Service, Status, StripeEvent
from bookings.payments import checkout, settling, stripe_api
from bookings.payments.tasks import forget_stripe_events, settle_unsettled_payments
from bookings.scheduling import By, deposits, holds
from harness.peers.stripe import StripePeer
from harness.stack import BASE_DIR, Stack, wait_for
from tests import factories, payments
from tests.payments import Kind, again, kinds, paid

pytestmark = pytest.mark.django_db


@pytest.fixture
def service() -> Service:
    return payments.service()


@pytest.fixture
def handyman(service: Service) -> Handyman:
    return factories.handyman(service)


@pytest.fixture
def held(stripe_on: StripePeer, service: Service, handyman: Handyman) -> Booking:
    return payments.hold(service)


def posted(service: Service) -> dict[str, str]:
    """The details form, filled in."""
    return {"start": factories.tomorrow(10, days=5).isoformat(), "key": "a-form", "offer": service.offer} | TYPED


TYPED = {
    "customer_name": "Robin Example",
    "customer_email": "robin@example.com",
    "customer_phone": "07700 900200",
    "address": "1 Sample Street",
    "postcode": "SE1 7PB",
    "consent": "on",
}


def test_it_confirms_at_once_when_payments_are_off(client: Client, service: Service, handyman: Handyman) -> None:
    assert "deposit" not in client.get(f"/services/{service.slug}/").content.decode()
    answer = client.post(f"/book/{service.slug}/details/", posted(service))
    assert answer.headers["Location"].endswith("/confirmed/")
    assert Booking.objects.get().status == Status.CONFIRMED
    assert not Payment.objects.exists()
    assert client.post("/api/stripe", b"{}", content_type="application/json").status_code == 404


def test_it_confirms_at_once_what_asks_for_no_deposit(client: Client, stripe_on: StripePeer) -> None:
    service = factories.service()
    factories.handyman(service)
    assert client.post(f"/book/{service.slug}/details/", posted(service)).headers["Location"].endswith("/confirmed/")
    assert stripe_on.ledger()["checkout.session"] == []


def test_it_sends_the_customer_to_pay_and_back(
    client: Client, stripe_on: StripePeer, service: Service, handyman: Handyman
) -> None:
    for _ in range(2):  # an impatient second tap
        answer = client.post(f"/book/{service.slug}/details/", posted(service))
        assert answer.headers["Location"].startswith(f"{stripe_on.url}/c/pay/")
    session = stripe_on.ledger()["checkout.session"]
    assert [each["amount_total"] for each in session] == [payments.DEPOSIT]
    booking = again(Booking.objects.get())
    assert (booking.status, kinds(booking)) == (Status.HELD, [Kind.HELD, Kind.CHECKOUT])
    assert session[0]["client_reference_id"] == booking.reference
    page = client.get(booking.get_absolute_url(), follow=True)
    assert page.redirect_chain[-1][0].endswith("/pay/")
    assert client.get(f"{booking.get_absolute_url()}confirmed/").status_code == 302  # it is not booked yet

    back = session[0]["success_url"].removeprefix("http://127.0.0.1:8000")
    waiting = client.get(back)
    assert "Checking your payment" in waiting.content.decode()
    assert waiting.headers["Refresh"] == f"2; url={back}?look=1"
    assert "longer than usual" in client.get(f"{back}?look=8").content.decode()
    assert client.get(f"{back}?look=²").status_code == 200
    assert stripe_on.pay(booking.payment.session_url)
    payments.work()  # asked by the page, for no webhook came
    assert client.get(back).headers["Location"].endswith("/confirmed/")
    assert b"\xc2\xa320 paid" in b" ".join(client.get(f"{booking.get_absolute_url()}confirmed/").content.split())
    assert kinds(booking)[2:] == [Kind.PAID, Kind.CONFIRMED]


@pytest.mark.parametrize("mode", ["error", "garble", "nonsense", "lose", "hang", "gone", "elsewhere", "withdrawn"])
def test_it_keeps_the_time_and_charges_once_when_stripe_fails(
    mode: str,
    client: Client,
    stripe_on: StripePeer,
    service: Service,
    handyman: Handyman,
    settings: Any,
    monkeypatch: Any,
) -> None:
    right = settings.STRIPE_CHECKOUT_ORIGIN, settings.STRIPE_SECRET_KEY
    monkeypatch.setattr(stripe_api, "READ_TIMEOUT", 0.5)
    stripe_api._client.cache_clear()
    if mode == "gone":
        stripe_on.refuse()
    elif mode == "elsewhere":
        settings.STRIPE_CHECKOUT_ORIGIN = "https://checkout.stripe.com"
    elif mode == "withdrawn":
        settings.STRIPE_SECRET_KEY = "not a key"
    else:
        stripe_on.fail(mode)
    answer = client.post(f"/book/{service.slug}/details/", posted(service))
    page = client.get(answer.headers["Location"])
    assert page.status_code == 200
    assert "Your card was not charged, and your time is still kept" in page.content.decode()
    booking = again(Booking.objects.get())
    assert (booking.status, booking.payment.session_id) == (Status.HELD, None)
    tasks.send_payment_link(booking_id=booking.pk)
    tasks.send_payment_link(booking_id=booking.pk)  # again after five minutes
    assert len(mail.outbox) == 1
    link = re.search(r"http://127.0.0.1:8000(/bookings/\S+/pay/)", str(mail.outbox[0].body))
    assert link

    stripe_on.recover()
    settings.STRIPE_CHECKOUT_ORIGIN, settings.STRIPE_SECRET_KEY = right
    assert client.get(link[1]).status_code == 200
    url = client.post(link[1]).headers["Location"]
    assert stripe_on.pay(url)
    assert not stripe_on.pay(url)
    settling.settle(booking.payment.pk)
    assert again(booking).status == Status.CONFIRMED
    assert len(stripe_on.ledger()["checkout.session"]) == len(stripe_on.ledger()["charge"]) == 1


def tell(client: Client, body: bytes, signature: str) -> int:
    return client.post(
        "/api/stripe", body, content_type="application/json", headers={"Stripe-Signature": signature}
    ).status_code


def test_it_believes_only_what_stripe_has_signed_lately(client: Client, stripe_on: StripePeer, held: Booking) -> None:
    assert stripe_on.pay(checkout.start(booking=held))
    event = next(each for each in stripe_on.ledger()["event"] if each["type"] == "checkout.session.completed")
    body, signature = stripe_on.signed(event)
    _, forged = stripe_on.signed(event, secret="whsec_of_somebody_else")
    _, old = stripe_on.signed(event, at=int(time.time()) - 301)
    for refused in ("", "t=1", "t=x,v1=", forged, old, signature.replace("v1=", "v0=")):
        assert tell(client, body, refused) == 400
    assert tell(client, body + b" ", signature) == 400
    assert tell(client, b"\xff\xfe", signature) == 400
    unreadable: list[Any] = [
        [],
        5,
        {"id": "evt_1"},
        {"id": "evt_1", "type": "x", "created": 10**30, "data": {"object": {}}},
    ]
    for nonsense in unreadable:
        assert tell(client, *stripe_on.signed(nonsense)) == 400
    assert client.get("/api/stripe").status_code == 405
    assert tell(client, b" " * 600_000, signature) == 413
    assert not StripeEvent.objects.exists()
    assert payments.work() == 0

    for _ in range(3):
        assert tell(client, body, signature) == 200
    assert StripeEvent.objects.get().payment == held.payment
    assert payments.work() == 1
    assert again(held).status == Status.CONFIRMED


@pytest.mark.parametrize("test", ["one", "the next"])
def test_each_test_finds_stripe_with_empty_books(test: str, stripe_on: StripePeer, held: Booking) -> None:
    """The peer lives as long as the whole run; money of another test would belong to no booking of this one."""
    assert not any(stripe_on.ledger().values())
    paid(stripe_on, held)


def test_it_takes_note_of_events_that_are_not_about_us(client: Client, stripe_on: StripePeer) -> None:
    about = {"object": "invoice", "id": "in_1"}
    event = {"id": "evt_x", "type": "invoice.paid", "created": int(time.time()), "data": {"object": about}}
    assert tell(client, *stripe_on.signed(event)) == 200
    assert StripeEvent.objects.get().payment is None
    StripeEvent.objects.update(received_at=timezone.now() - timedelta(days=91))
    forget_stripe_events(timestamp=0)
    assert not StripeEvent.objects.exists()


def test_it_confirms_without_any_webhook(stripe_on: StripePeer, held: Booking) -> None:
    assert stripe_on.pay(checkout.start(booking=held))
    settle_unsettled_payments(timestamp=0)
    assert payments.work() == 0  # it is too early to worry
    Payment.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    for _ in range(3):
        settle_unsettled_payments(timestamp=0)
    assert payments.work() == 1
    assert again(held).status == Status.CONFIRMED
    assert deposits.unsettled(timezone.now() + timedelta(hours=1)) == []


def test_it_gives_the_time_back_and_closes_the_page(client: Client, stripe_on: StripePeer, held: Booking) -> None:
    url = checkout.start(booking=held)
    pay_page = f"{held.get_absolute_url()}pay/"
    Booking.objects.update(hold_expires_at=timezone.now())
    assert "no longer kept" in client.get(pay_page).content.decode()
    assert client.post(pay_page).headers["Location"] == pay_page
    assert holds.release_expired() == 1
    payments.work()
    assert not stripe_on.pay(url)
    assert again(held).payment.status == Payment.Status.CLOSED
    assert "Your card was not charged" in client.get(pay_page, follow=True).content.decode()


@pytest.mark.parametrize("taken", [False, True])
def test_it_takes_the_time_again_or_gives_the_money_back(
    taken: bool, client: Client, stripe_on: StripePeer, held: Booking, handyman: Handyman
) -> None:
    """Paid in the very moment in which the hold ended."""
    assert stripe_on.pay(checkout.start(booking=held))
    later = timezone.now() + payments.AFTER_THE_HOLD
    holds.release_expired(now=later)
    if taken:
        payments.hold(held.service, starts_at=held.starts_at, now=later)
    payments.work()
    after = again(held)
    if not taken:
        assert (after.status, after.payment.status) == (Status.CONFIRMED, Payment.Status.PAID)
        assert kinds(held)[-2:] == [Kind.PAID, Kind.REINSTATED]
        tasks.send_booking_email(booking_id=held.pk, kind="confirmation", sequence=after.sequence)
        assert "£20 paid" in str(mail.outbox[0].body)
        return
    payments.work()
    after = again(held)
    assert (after.status, after.payment.status) == (Status.CANCELLED, Payment.Status.REFUNDED)
    assert kinds(held)[-3:] == [Kind.PAID, Kind.REFUNDING, Kind.REFUNDED]
    tasks.send_booking_email(booking_id=held.pk, kind="late", sequence=after.sequence)
    assert "£20 reached us after the time" in str(mail.outbox[0].body)
    assert "Your time was gone. We are sorry." in client.get(held.get_absolute_url()).content.decode()


def test_it_never_confirms_for_another_amount(stripe_on: StripePeer, held: Booking) -> None:
    assert stripe_on.pay(checkout.start(booking=held))
    Payment.objects.update(amount_pence=payments.DEPOSIT + 1)
    with pytest.raises(stripe_api.StripeUnavailable):
        settling.settle(held.payment.pk)
    assert again(held).status == Status.HELD


def test_it_closes_a_page_that_stripe_made_after_the_hold_was_let_go(
    stripe_on: StripePeer, held: Booking, monkeypatch: Any
) -> None:
    """The answer comes while the customer cancels in another tab."""
    create = stripe_api.create_session

    def slow(**asked: Any) -> stripe_api.Session:
        made = create(**asked)
        scheduling.cancel(booking=held, by=By.CUSTOMER)
        payments.work()
        return made

    monkeypatch.setattr(stripe_api, "create_session", slow)
    with pytest.raises(scheduling.NotPossible):
        checkout.start(booking=held)
    payments.work()
    assert again(held).payment.status == Payment.Status.CLOSED
    assert [each["status"] for each in stripe_on.ledger()["checkout.session"]] == ["expired"]


@pytest.mark.parametrize(
    "wrong", [{"deposit_pence": 50}, {"deposit_pence": 6001}, {"pricing": "quote", "price_pence": 6000}]
)
def test_it_asks_for_a_deposit_within_the_price(wrong: dict[str, Any]) -> None:
    service = payments.service()
    for name, value in wrong.items():
        setattr(service, name, value)
    with pytest.raises(ValidationError, match="deposit"):
        service.full_clean()


def test_it_loads_stripe_only_to_pay() -> None:
    """Its package costs a tenth of a second and memory; pages that do not pay shall not pay for it."""
    code = "import django; django.setup(); import xfhandyman.urls, sys; print('stripe' in sys.modules)"
    environment = {"DJANGO_SETTINGS_MODULE": "xfhandyman.settings", "DATABASE_URL": "postgresql:///never-opened"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(BASE_DIR), env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == "False"


def test_it_holds_no_connection_while_stripe_hangs(
    stack: Callable[..., Stack], black_hole: int, stripe_peer: StripePeer
) -> None:
    """A pool of one: whoever waits for Stripe must not have it."""
    site = stack(
        env=stripe_peer.environment | {"STRIPE_API_BASE": f"http://127.0.0.1:{black_hole}", "DB_POOL_MAX_SIZE": "1"}
    )
    with ThreadPoolExecutor(1) as customer, requests.Session() as browser:
        book = f"{site.url}/book/tv-mounting/"
        windows = re.findall(r"details/\?start=([^&\"]+)", browser.get(f"{book}?week=1", timeout=10).text)
        form = browser.get(f"{book}details/", params={"start": windows[-1]}, timeout=10).text
        hidden = dict(re.findall(r'name="(csrfmiddlewaretoken|key|offer)" value="([^"]+)"', form))
        typed = TYPED | hidden | {"start": windows[-1]}
        answer = customer.submit(browser.post, f"{book}details/", typed, timeout=30)
        wait_for("the hold", lambda: site.log_events("booking_held"), 30)
        looks = 0
        while not answer.done():
            assert requests.get(f"{site.url}/services/", timeout=10).status_code == 200
            looks += 1
    assert answer.result().status_code == 200
    assert "your time is still kept" in answer.result().text
    assert looks > 1
    assert site.log_events("stripe_failed")[0]["outcome"] == "unavailable"
