"""Whoever cancels, the customer reads who it was: an apology and the reason where it was the business."""

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from bookings import scheduling, tasks
from bookings.models import Booking
from bookings.scheduling import By
from tests import factories
from tests.forms import act, posted

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking() -> Booking:
    service = factories.service(name="Shelves")
    factories.handyman(service)
    return scheduling.book(
        service=service,
        starts_at=factories.tomorrow(9, days=5),
        customer=factories.customer(),
        idempotency_key="form",
    )


def texts(booking: Booking) -> list[str]:
    """What the customer reads of the cancelled booking: subject and text, HTML, and the booking's page."""
    current = Booking.objects.get(pk=booking.pk)
    tasks.send_booking_email(booking_id=booking.pk, kind="cancelled", sequence=current.sequence)
    message: Any = mail.outbox[-1]
    html = message.alternatives[0].content
    page = Client().get(current.get_absolute_url()).content.decode()
    return [f"{message.subject}\n{message.body}", html, page]


def test_the_business_apologises_and_says_why(admin_client: Client, booking: Booking) -> None:
    address = f"/admin/bookings/booking/cancel/?ids={booking.pk}"
    form = admin_client.get(address).context
    shown = admin_client.get(address).content.decode()
    assert form["chosen"][0].pk == booking.pk
    assert "The customer reads it" in shown
    fields = {"note": "our van broke down", **_hidden(shown)}
    assert admin_client.post(address, fields).status_code == 302
    for text in texts(booking):
        assert "sorry" in text.lower()
        assert "The reason: our van broke down" in text
        assert "booking is cancelled" not in text
        assert "as you asked" not in text.lower()


def test_what_the_customer_asked_for_needs_no_apology(booking: Booking) -> None:
    scheduling.cancel(booking=booking, by=By.STAFF, asked=True, note="rang, has sold the house")
    mail_text, html, page = texts(booking)
    assert "as you asked, we have cancelled your booking" in mail_text
    assert "as you asked" in html
    assert "You asked us to cancel it" in page
    for text in (mail_text, html, page):
        assert "sorry" not in text.lower()
        assert "sold the house" not in text, "it is the office's note of what they said"


def test_the_customers_own_cancellation_reads_as_before(booking: Booking) -> None:
    scheduling.cancel(booking=booking, by=By.CUSTOMER)
    mail_text, html, page = texts(booking)
    assert "your booking is cancelled, and there is nothing to pay" in mail_text
    assert "your booking is cancelled" in html
    assert "You cancelled it." in page
    assert all("sorry" not in text.lower() for text in (mail_text, html, page))


def _hidden(page: str) -> dict[str, list[str]]:
    return {"_shown": re.findall(r'name="_shown" value="([^"]+)"', page)}


def test_staff_are_told_whom_no_e_mail_tells(admin_client: Client, booking: Booking) -> None:
    rang = scheduling.book(
        service=booking.service,
        starts_at=factories.tomorrow(13, days=5),
        customer=factories.customer(customer_email="", customer_name="Robin Ringer", customer_phone="07700 900456"),
        idempotency_key="call",
        by=By.STAFF,
    )
    again = act(admin_client, "/admin/bookings/booking/", "send_again", booking, rang).content.decode()
    assert "1 booking sent again." in again
    assert "There is no e-mail address. Call the customer." in again
    question = f"/admin/bookings/booking/cancel/?ids={booking.pk},{rang.pk}"
    asked = admin_client.get(question).content
    assert asked.decode().count("There is no e-mail address: call 07700 900456.") == 1
    answer = admin_client.post(question, posted(asked), follow=True).content.decode()
    assert "Call Robin Ringer, 07700 900456: they have no e-mail address." in answer
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
