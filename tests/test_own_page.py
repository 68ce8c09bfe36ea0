"""All visits of a customer behind a mailed link: used once, by a button, and silent about whom it knows."""

import re
from datetime import timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import events, scheduling, tasks
from bookings.models import Booking, CustomerLink, Service, Status
from bookings.personal_data import own_page
from tests import factories
from tests.forms import posted

pytestmark = pytest.mark.django_db
EMAIL = "robin@example.com"


@pytest.fixture
def service() -> Service:
    service = factories.service(name="Tap repair")
    factories.handyman(service, name="Grace")
    return service


def visit(service: Service, days: int = 3, email: str = EMAIL, **who: Any) -> Booking:
    return scheduling.book(
        service=service,
        starts_at=factories.tomorrow(10, days=days),
        customer=factories.customer(customer_email=email, **who),
        idempotency_key=f"{days}{email}",
    )


def in_the_past(booking: Booking, days: int = 10) -> Booking:
    booking.take_time(booking.starts_at - timedelta(days=days))
    booking.status = Status.COMPLETED
    booking.save()
    return booking


def ask(client: Client, email: str = EMAIL) -> Any:
    return client.post("/my-visits/", posted(client.get("/my-visits/").content, email=email), follow=True)


def deliver(mailoutbox: list[EmailMessage]) -> str:
    """Send the links that are queued; the path of the last one."""
    for args in ProcrastinateJob.objects.filter(task_name="send_customer_link").values_list("args", flat=True):
        tasks.send_customer_link(booking_id=args["booking_id"], link_id=args["link_id"])
    found = re.search(r"/my-visits/open/\S+", str(mailoutbox[-1].body))
    assert found
    return found[0]


def opened(client: Client, mailoutbox: list[EmailMessage]) -> str:
    """The address of the page."""
    ask(client)
    return str(client.post(deliver(mailoutbox))["Location"])


def test_the_answer_is_the_same_for_every_address(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    visit(service)
    answers = [ask(client, email) for email in ("Robin@Example.com", "nobody@example.com", EMAIL)]
    assert len({answer.content.partition(b"<main")[2] for answer in answers}) == 1
    assert ProcrastinateJob.objects.filter(task_name="send_customer_link").count() == 1, "one in five minutes"
    deliver(mailoutbox)
    assert [letter.to for letter in mailoutbox] == [[EMAIL]]
    assert ask(client, "no address").status_code == 422


def test_a_link_works_once_and_only_the_newest(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    booking = visit(service)
    Booking.objects.update(proven_at=None)
    ask(client)
    link = deliver(mailoutbox)
    for _ in range(3):
        assert "Show my visits" in client.get(link).content.decode(), "a scanner that looks uses nothing up"
    page = client.post(link)["Location"]
    assert booking.get_absolute_url() in client.get(page).content.decode()
    assert Booking.objects.get().proven_at is not None
    assert client.post(link).status_code == client.get(link).status_code == 404
    CustomerLink.objects.update(made_at=timezone.now() - own_page.BETWEEN)
    ask(client)
    assert client.get(page).status_code == 404, "a newer e-mail replaces it"
    CustomerLink.objects.update(made_at=timezone.now() - CustomerLink.MAILED_FOR)
    assert client.get(deliver(mailoutbox)).status_code == 404
    assert client.get("/my-visits/forged/").status_code == client.get("/my-visits/open/forged/").status_code == 404


def test_the_page_is_of_the_address_that_asked_and_ends_by_itself(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    booking = visit(service)
    page = opened(client, mailoutbox)
    Booking.objects.filter(pk=booking.pk).update(customer_email="other@example.com")
    assert client.get(page).status_code == 404
    Booking.objects.filter(pk=booking.pk).update(customer_email=EMAIL)
    assert client.get(page).status_code == 200
    CustomerLink.objects.update(opened_at=timezone.now() - own_page.OPEN_FOR)
    assert client.get(page).status_code == 404
    own_page.forget_old(timezone.now() + timedelta(hours=4))
    assert not CustomerLink.objects.exists()


def test_a_visit_is_booked_again_with_everything_filled_in(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    done = in_the_past(visit(service, address="7 Old Lane", notes="Ring twice"))
    other = visit(service, 5, "somebody@example.com")
    page = opened(client, mailoutbox)
    form = client.post(f"{page}again/", {"booking": done.pk})
    assert form.status_code == 200
    for said in ("7 Old Lane", "Ring twice", EMAIL):
        assert said in form.content.decode()
    answer = client.post(f"/book/{service.slug}/details/", posted(form.content, consent="on"), follow=True)
    assert "Booked. See you" in answer.content.decode()
    assert Booking.objects.filter(address="7 Old Lane", status=Status.CONFIRMED).count() == 1
    assert client.post(f"{page}again/", {"booking": other.pk}).status_code == 404
    service.active = False
    service.save()
    assert client.post(f"{page}again/", {"booking": done.pk}).status_code == 404


def test_all_its_jobs_are_booked_again(client: Client, service: Service, mailoutbox: list[EmailMessage]) -> None:
    done = in_the_past(visit(service))
    Booking.objects.filter(pk=done.pk).update(quantity=2)
    page = opened(client, mailoutbox)
    form = posted(client.post(f"{page}again/", {"booking": done.pk}).content, consent="on")
    assert form["job"] == [f"{service.slug}:2"]
    assert client.post(f"/book/{service.slug}/details/", form).status_code == 302
    assert Booking.objects.filter(status=Status.CONFIRMED, quantity=2).count() == 1


def test_it_lists_visits_to_come_and_past_and_no_slot_that_was_never_booked(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    ahead, past = visit(service), in_the_past(visit(service, 6))
    never = scheduling.hold(
        service=service,
        starts_at=factories.tomorrow(14),
        customer=factories.customer(customer_email=EMAIL),
        idempotency_key="never",
        expires_in=timedelta(minutes=5),
    )
    scheduling.cancel(booking=never, by=scheduling.By.CUSTOMER)
    assert list(own_page.visits(EMAIL)) == [ahead, past]
    page = client.get(opened(client, mailoutbox)).content.decode()
    assert page.index("To come") < page.index(ahead.get_absolute_url()) < page.index("Past") < page.index("Book again")


def test_customers_get_and_erase_their_data_themselves(
    client: Client, service: Service, mailoutbox: list[EmailMessage], heard: list[events.Event]
) -> None:
    booking = visit(service)
    page = opened(client, mailoutbox)
    copy = client.post(f"{page}copy/")
    assert EMAIL in ZipFile(BytesIO(copy.content)).read("customer.json").decode()
    assert "no-store" in copy["Cache-Control"]
    assert client.post(f"{page}erase/").status_code == 422
    refused = client.post(f"{page}erase/", {"sure": "on"})
    assert refused.status_code == 409
    assert "Cancel them first" in refused.content.decode()
    in_the_past(booking)
    erased = client.post(f"{page}erase/", {"sure": "on"}, follow=True)
    assert "We know nothing about you any more" in erased.content.decode()
    assert Booking.objects.get().customer_email == ""
    assert not CustomerLink.objects.exists()
    assert client.get(page).status_code == 404
    assert EMAIL not in repr(heard)
