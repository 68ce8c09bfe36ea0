"""Invented e-mail addresses hold few slots; beyond them an address is proved by its e-mail before a visit is booked."""

import os
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling, tasks
from bookings.messaging import links
from bookings.models import Booking, Service, Status
from bookings.scheduling import By, corrections, holds, proofs
from tests import factories, payments
from tests.forms import posted
from tests.test_offers import WHO
from tests.test_scheduling_races import InThreads
from tests.test_scheduling_races import in_threads as in_threads

PER_ADDRESS, PER_CLIENT = 2, 3
ROBIN = WHO["customer_email"]
HERE, THERE = "203.0.113.7", "198.51.100.7"


@pytest.fixture
def service(db: None, settings: pytest.FixtureRequest) -> Service:
    settings.UNPROVEN_BOOKINGS_PER_ADDRESS = PER_ADDRESS  # type: ignore[attr-defined]  # pytest-django's settings
    settings.UNPROVEN_BOOKINGS_PER_CLIENT = PER_CLIENT  # type: ignore[attr-defined]
    service = factories.service(name="Tap repair")
    for _ in range(4):
        factories.handyman(service)
    return service


def starts(number: int) -> datetime:
    return factories.tomorrow(9 + number % 8, days=3 + number // 8)


def ask(client: Client, service: Service, number: int = 0, email: str = ROBIN, address: str = HERE) -> Any:
    """Fill the form in and post it, as a client without script does."""
    link = f"/book/{service.slug}/details/?start={starts(number).isoformat().replace('+', '%2B')}"
    form = posted(client.get(link, REMOTE_ADDR=address).content, **WHO | {"customer_email": email})
    return client.post(link, form, REMOTE_ADDR=address, follow=True)


def take(service: Service, number: int, email: str = ROBIN, client: str | None = "a client") -> Booking:
    return scheduling.book(
        service=service,
        starts_at=starts(number),
        customer=factories.customer(customer_email=email),
        idempotency_key=os.urandom(8).hex(),
        client=client,
    )


def deliver(mailoutbox: list[EmailMessage]) -> str:
    """Send what is queued for customers; the text of the last e-mail."""
    for args in ProcrastinateJob.objects.order_by("id").values_list("args", flat=True):
        arguments = {name: args[name] for name in ("booking_id", "kind", "sequence") if name in args}
        if "kind" in arguments:
            tasks.send_booking_email(**arguments)
    return str(mailoutbox[-1].body)


def link_in(text: str) -> str:
    found = re.search(r"/bookings/\S+", text)
    assert found
    return found[0]


def states() -> list[str]:
    return list(Booking.objects.order_by("pk").values_list("status", flat=True))


def test_a_customer_within_the_limits_books_as_ever(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    for number in range(PER_ADDRESS):
        assert "Booked. See you" in ask(client, service, number).content.decode()
    assert states() == [Status.CONFIRMED] * PER_ADDRESS
    assert "your booking is confirmed" in deliver(mailoutbox)


def test_the_link_of_the_email_proves_and_the_browsers_does_not(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    ask(client, service)
    booking = Booking.objects.get()
    for path in (booking.get_absolute_url(), f"{booking.get_absolute_url()}?mail=guessed"):
        assert client.get(path).status_code == 200
    booking.refresh_from_db()
    assert booking.proven_at is None
    assert client.get(link_in(deliver(mailoutbox))).status_code == 200
    booking.refresh_from_db()
    assert booking.proven_at is not None
    for number in range(1, 6):
        assert "Booked. See you" in ask(client, service, number).content.decode(), "the address is known for a year"
    Booking.objects.update(proven_at=timezone.now() - timedelta(days=366))
    assert proofs.earlier(ROBIN, timezone.now()) is None


@pytest.mark.parametrize(
    ("email", "most"), [("invented{}@example.com", PER_CLIENT), ("Robin@example.com", PER_ADDRESS)]
)
def test_a_hoarder_gets_few_windows(client: Client, service: Service, email: str, most: int) -> None:
    answers = [
        ask(client, service, number, email.format(number), HERE if "{}" in email else f"198.51.100.{number}")
        for number in range(38)
    ]
    assert states() == [Status.CONFIRMED] * most + [Status.HELD] * proofs.MOST_HELD
    assert {answer.status_code for answer in answers[most + proofs.MOST_HELD :]} == {429}
    page = answers[-1].content.decode()
    assert "020 7946" in page
    assert "1 Sample Street" in page
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_one_network_of_ipv6_is_one_client(client: Client, service: Service) -> None:
    for number in range(PER_CLIENT + 1):
        ask(client, service, number, f"invented{number}@example.com", f"2001:db8:1:{number}::1")
    assert states()[-1] == Status.HELD
    assert not Booking.objects.filter(client__contains="2001").exists()
    ask(client, service, 9, "other@example.com", "2001:db8:2::1")
    assert states()[-1] == Status.CONFIRMED


def test_beyond_the_limit_the_email_confirms_the_booking(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    for number in range(PER_ADDRESS):
        take(service, number)
    answer = ask(client, service, 5)
    page = answer.content.decode()
    booking = Booking.objects.get(status=Status.HELD)
    assert "(30 minutes left)" in page
    assert ROBIN in page
    assert "Confirm my booking</button>" not in page
    way = answer.redirect_chain[-1][0]
    refused = client.post(way, {"mail": "guessed"})
    assert (refused.status_code, states()[-1]) == (422, Status.HELD)

    link = link_in(deliver(mailoutbox))
    assert mailoutbox[-1].to == [ROBIN]
    shown = client.get(link)
    assert states()[-1] == Status.HELD, "a scanner that follows the link books nothing"
    done = client.post(way, posted(shown.content, action=None) | {"mail": re.findall(r"mail=(\S+)", link)}, follow=True)
    assert "Booked. See you" in done.content.decode()
    booking.refresh_from_db()
    assert (booking.status, payments.kinds(booking)) == (Status.CONFIRMED, ["held", "confirmed"])
    assert booking.proven_at is not None
    assert "your booking is confirmed" in deliver(mailoutbox)
    assert client.get(link, follow=True).redirect_chain[-1][0].endswith("/confirmed/")


def test_a_link_mailed_to_another_address_proves_nothing(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    booking = take(service, 0)
    mail = links.marker(booking)
    booking = corrections.correct(booking=booking, details={"customer_email": "victim@example.com"}, by=By.CUSTOMER)
    client.get(f"{booking.get_absolute_url()}?mail={mail}")
    booking.refresh_from_db()
    assert booking.proven_at is None


def test_a_hold_that_is_not_confirmed_runs_out(client: Client, service: Service) -> None:
    for number in range(PER_ADDRESS):
        take(service, number)
    held = take(service, 5)
    path = f"/bookings/{held.link_token}/prove/?mail={links.marker(held)}"
    Booking.objects.filter(pk=held.pk).update(hold_expires_at=timezone.now())
    assert "no longer kept" in client.get(path).content.decode()
    assert holds.release_expired() == 1
    held.refresh_from_db()
    assert (held.status, payments.kinds(held)) == (Status.CANCELLED, ["held", "expired"])
    with pytest.raises(scheduling.NotPossible):
        scheduling.prove(booking=held, mail=links.marker(held))
    assert "This visit is cancelled" in client.get(path, follow=True).content.decode()
    assert take(service, 5).status == Status.HELD, "the slot is free again"


def test_a_deposit_is_not_replaced_by_a_proof(service: Service, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_x"
    Service.objects.update(deposit_pence=2000)
    held = payments.hold(Service.objects.get(pk=service.pk))
    with pytest.raises(scheduling.NotPossible):
        scheduling.prove(booking=held, mail=links.marker(held))
    for number in range(PER_ADDRESS):
        assert take(service, number, held.customer_email).status == Status.CONFIRMED, "a deposit's hold does not count"
    paid = scheduling.confirm(booking=held, by=By.SYSTEM)
    assert paid.proven_at is not None
    assert take(service, 6, held.customer_email).status == Status.CONFIRMED


def test_staff_prove_and_see_what_is_not_proven(service: Service, admin_client: Client) -> None:
    booking = take(service, 0)
    page = admin_client.get(f"/admin/bookings/booking/{booking.pk}/change/").content.decode()
    assert "E-mail not proven" in page
    made = scheduling.book(
        service=service, starts_at=starts(2), customer=factories.customer(), idempotency_key="rang", by=By.STAFF
    )
    assert made.proven_at is not None


def test_clients_are_forgotten_once_they_count_no_more(service: Service) -> None:
    kept, proven, off = take(service, 0), take(service, 1, "two@example.com"), take(service, 2, "three@example.com")
    Booking.objects.filter(pk=proven.pk).update(proven_at=timezone.now())
    scheduling.cancel(booking=off, by=By.STAFF)
    tasks.forget_addresses(0)
    assert set(Booking.objects.exclude(client="")) == {kept, off}
    Booking.objects.filter(pk=off.pk).update(created_at=timezone.now() - timedelta(days=1))
    tasks.forget_addresses(0)
    assert list(Booking.objects.exclude(client="").values_list("pk", flat=True)) == [kept.pk]


def test_booking_and_cancelling_in_turn_writes_few_emails(client: Client, service: Service) -> None:
    for _ in range(8):
        answer = ask(client, service)
        if answer.status_code == 429:
            break
        client.post(Booking.objects.latest("pk").get_absolute_url(), {"action": "cancel"}, REMOTE_ADDR=HERE)
    assert Booking.objects.count() == PER_ADDRESS + proofs.MOST_HELD
    tasks.forget_addresses(0)
    assert ask(client, service, 7, "another@example.com").status_code == 200
    assert ask(client, service, 8, "third@example.com").status_code == 429, "the client is known for a day"
    Booking.objects.filter(status=Status.CANCELLED).update(created_at=timezone.now() - timedelta(days=1))
    assert take(service, 9).status == Status.CONFIRMED


def test_an_unproven_booking_is_changed_a_few_times_only(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    booking = take(service, 0)
    for number in range(1, 8):
        client.post(booking.get_absolute_url(), {"action": "move", "start": starts(number).isoformat()})
    booking.refresh_from_db()
    assert payments.kinds(booking).count("moved") == proofs.MOST_CHANGES
    path = f"{booking.get_absolute_url()}details/"
    form = posted(client.get(path).content, customer_email="stranger@example.com")
    refused = client.post(path, form)
    assert (refused.status_code, "stranger@example.com" in refused.content.decode()) == (422, True)
    assert client.post(path, form | {"customer_email": booking.customer_email, "notes": "The bell"}).status_code == 302

    assert (
        "Open the link in an e-mail"
        in client.post(booking.get_absolute_url(), {"action": "move", "start": starts(9).isoformat()}).content.decode()
    )
    client.get(link_in(deliver(mailoutbox)))
    moved = client.post(booking.get_absolute_url(), {"action": "move", "start": starts(9).isoformat()})
    assert moved.status_code == 302, "whoever reads the e-mails changes as often as they like"


def test_corrections_write_to_few_strangers(client: Client, service: Service) -> None:
    booking = take(service, 0)
    for number in range(8):
        path = f"{Booking.objects.get(pk=booking.pk).get_absolute_url()}details/"
        client.post(path, posted(client.get(path).content, customer_email=f"stranger{number}@example.com"))
    booking.refresh_from_db()
    assert payments.kinds(booking).count("corrected") == proofs.MOST_CHANGES


def test_no_more_bookings_are_corrected_to_an_address_than_it_may_make(service: Service) -> None:
    made = [take(service, number, f"own{number}@example.com", f"client {number}") for number in range(4)]
    refused = 0
    for booking in made:
        try:
            corrections.correct(booking=booking, details={"customer_email": "Victim@example.com"}, by=By.CUSTOMER)
        except scheduling.TooManyUnproven:
            refused += 1
    assert refused == len(made) - PER_ADDRESS
    corrections.correct(booking=made[-1], details={"customer_email": "victim@example.com"}, by=By.STAFF)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_bookings_at_once_do_not_pass_the_limit_together(service: Service, in_threads: InThreads) -> None:
    def attempt(number: int) -> str:
        try:
            return str(take(service, number, f"invented{number}@example.com").status)
        except scheduling.TooManyUnproven:
            return "refused"

    results = in_threads(attempt, 8)
    assert sorted(results) == ["confirmed"] * PER_CLIENT + ["held"] * proofs.MOST_HELD + ["refused"] * 3


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_one_form_posted_at_once_takes_the_last_booking_without_a_proof_once(
    service: Service, in_threads: InThreads
) -> None:
    for number in range(PER_ADDRESS + proofs.MOST_HELD - 1):
        take(service, number, client=f"client {number}")
    last, who = starts(20), factories.customer(customer_email=ROBIN)

    def book(_: int) -> Booking:
        return scheduling.book(service=service, starts_at=last, customer=who, idempotency_key="form", client="another")

    assert len(set(in_threads(book, 4))) == 1
