"""A form that comes again: the same request, a correction, or another visit; and details that are corrected later."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling, tasks
from bookings.messaging import emails
from bookings.models import Booking, BookingEvent, FormerAddress, Service, Status
from bookings.scheduling import By, corrections
from harness.stack import Stack
from tests import factories, forms
from tests.forms import posted
from tests.test_offers import WHO, form_of
from tests.visitor import request

RIGHT = "robin@example.com"
WRONG = "robyn@example.org"


@pytest.fixture
def service(db: None) -> Service:
    service = factories.service(name="Tap repair")
    factories.handyman(service)
    factories.handyman(service)
    return service


@pytest.fixture
def booked(client: Client, service: Service) -> tuple[str, dict[str, list[str]], Booking]:
    """A form, posted with a wrong e-mail address: its address, its content, its booking."""
    address, form = form_of(client, service)
    form["customer_email"] = [WRONG]
    assert client.post(address, form).status_code == 302
    return address, form, Booking.objects.get()


Booked = tuple[str, dict[str, list[str]], Booking]


def queued() -> list[tuple[str, dict[str, Any]]]:
    """The e-mails in the outbox, in order."""
    jobs = ProcrastinateJob.objects.order_by("id").values_list("task_name", "args")
    return [(name, {key: value for key, value in args.items() if key[0] != "_"}) for name, args in jobs]


def test_a_correction_of_the_form_corrects_the_one_booking(client: Client, booked: Booked) -> None:
    address, form, first = booked
    answer = client.post(address, form | {"customer_email": [RIGHT], "address": ["2 Sample Street"]}, follow=True)
    page = answer.content.decode()
    booking = Booking.objects.get()
    assert (booking.pk, booking.customer_email, booking.address) == (first.pk, RIGHT, "2 Sample Street")
    assert "Your booking is corrected" in page
    assert RIGHT in page
    event = booking.events.get(kind=BookingEvent.Kind.CORRECTED)
    assert (event.by, event.note) == (By.CUSTOMER, "e-mail, address")
    assert client.get(first.get_absolute_url()).status_code == 404, "the link that was mailed to the wrong address"


def test_the_same_content_is_the_same_request_even_after_a_correction_by_staff(client: Client, booked: Booked) -> None:
    address, form, first = booked
    corrections.correct(booking=first, details={"address": "The right street"}, by=By.STAFF)
    client.post(address, form)
    assert Booking.objects.get().address == "The right street"


@pytest.mark.parametrize("asked", [{}, {"twice": ["move"]}])
def test_a_form_that_comes_again_undoes_nothing_that_staff_have_changed(
    client: Client, booked: Booked, asked: dict[str, list[str]]
) -> None:
    address, form, first = booked
    corrections.correct(booking=first, details={"address": "The right street"}, by=By.STAFF)
    answer = client.post(address, form | asked | {"notes": ["The bell is broken"]})
    assert answer.status_code == 409
    page = answer.content.decode()
    assert "We have changed it since" in page
    assert first.get_absolute_url() in page
    assert "The bell is broken" in page, "what was typed is kept"
    booking = Booking.objects.get()
    assert (booking.address, booking.notes) == ("The right street", first.notes)


@pytest.mark.parametrize("end", ["cancelled", "expired", "over"])
def test_the_form_books_again_when_what_it_booked_does_not_stand(client: Client, booked: Booked, end: str) -> None:
    address, form, first = booked
    if end == "cancelled":
        scheduling.cancel(booking=first, by=By.CUSTOMER)
    elif end == "expired":
        past = timezone.now() - timedelta(minutes=1)
        Booking.objects.update(status=Status.HELD, hold_expires_at=past)
    else:
        first.take_time(first.starts_at - timedelta(days=30))
        first.save()
    answer = client.post(address, form, follow=True)
    assert "Booked. See you" in answer.content.decode()
    assert Booking.objects.filter(status=Status.CONFIRMED, customer_email=WRONG).exclude(pk=first.pk).count() == 1


@pytest.mark.parametrize("choice", ["move", "second"])
def test_another_time_from_the_same_form_is_asked_about(client: Client, booked: Booked, choice: str) -> None:
    address, form, first = booked
    later = first.starts_at + timedelta(hours=3)
    answer = client.post(address, form | {"start": [later.isoformat()]})
    assert answer.status_code == 409
    assert "From this page you have already booked Tap repair" in answer.content.decode()
    assert Booking.objects.count() == 1
    again = posted(answer.content) | {"twice": [choice]}
    for _ in range(2):
        assert client.post(address, again).status_code == 302
    times = sorted(Booking.objects.values_list("starts_at", flat=True))
    assert times == ([later] if choice == "move" else [first.starts_at, later])


def test_staff_correct_by_their_own_form_too(admin_client: Client, service: Service) -> None:
    add = "/admin/bookings/booking/add/"
    page = admin_client.post(add, posted(admin_client.get(add).content, show=f"job:{service.slug}:1"))
    windows = re.findall(r'name="take" value="([^"]+)"', page.content.decode())
    form = posted(page.content, take=windows[0], **WHO)
    for change in ({}, {"address": ["2 Sample Street"]}):
        assert admin_client.post(add, form | change).status_code == 302
    assert Booking.objects.get().address == "2 Sample Street"
    assert "This form has booked" in admin_client.post(add, form | {"take": [windows[-1]]}).content.decode()
    assert Booking.objects.count() == 1


def test_a_corrected_address_gets_the_confirmation_and_the_old_one_a_notice(
    client: Client, booked: Booked, mailoutbox: list[EmailMessage]
) -> None:
    first = booked[2]
    link = f"{first.get_absolute_url()}details/"
    answer = forms.submit(client, link, customer_email=RIGHT, notes="Ring twice")
    assert "Your details are corrected" in answer.content.decode()
    booking = Booking.objects.get()
    assert (booking.customer_email, booking.notes) == (RIGHT, "Ring twice")
    for name, args in queued():
        if name in ("send_booking_email", "send_address_notice"):
            getattr(tasks, name)(**args)
    assert [email.to for email in mailoutbox] == [["robin@example.com"], [WRONG]]
    assert booking.link_token in str(mailoutbox[0].body)
    assert "/bookings/" not in str(mailoutbox[1].body)
    assert RIGHT not in str(mailoutbox[1].body)
    assert not FormerAddress.objects.exists()
    for path in (link, first.get_absolute_url()):
        assert client.get(path).status_code == 404
        assert client.post(path, {"action": "cancel"}).status_code == 404
    assert Booking.objects.get().is_open


def test_staff_correct_an_address_and_send_again(admin_client: Client, client: Client, booked: Booked) -> None:
    first = booked[2]
    change = reverse("admin:bookings_booking_change", args=[first.pk])
    forms.submit(admin_client, change, customer_email=RIGHT)
    booking = Booking.objects.get()
    assert booking.link_key != first.link_key
    assert queued()[-1] == ("send_booking_email", {"booking_id": booking.pk, "kind": "confirmation", "sequence": 1})
    assert not FormerAddress.objects.exists()
    event = booking.events.get(kind=BookingEvent.Kind.CORRECTED)
    assert (event.by, str(event.user), event.note) == (By.STAFF, "admin", "e-mail")
    forms.submit(admin_client, change, send_again="1")
    assert queued()[-1][1]["sequence"] == 2
    forms.act(admin_client, "/admin/bookings/booking/", "send_again", booking)
    assert queued()[-1][1]["sequence"] == 3


def test_a_customers_form_does_not_undo_what_staff_have_corrected(client: Client, booked: Booked) -> None:
    first = booked[2]
    link = f"{first.get_absolute_url()}details/"
    form = posted(client.get(link).content, notes="Ring twice")
    corrections.correct(booking=first, details={"address": "The right street"}, by=By.STAFF)
    answer = client.post(link, form)
    assert answer.status_code == 409
    assert "it says “The right street” now" in answer.content.decode()
    assert Booking.objects.get().notes == ""
    assert client.post(link, posted(answer.content)).status_code == 302
    assert Booking.objects.get().notes == "Ring twice"


def test_a_mistake_in_an_old_form_does_not_make_it_a_new_one(client: Client, booked: Booked) -> None:
    first = booked[2]
    link = f"{first.get_absolute_url()}details/"
    form = posted(client.get(link).content, customer_phone="none")
    corrections.correct(booking=first, details={"address": "The right street"}, by=By.STAFF)
    refused = client.post(link, form)
    assert refused.status_code == 422
    assert client.post(link, posted(refused.content, customer_phone="07700 900200")).status_code == 409
    assert Booking.objects.get().address == "The right street"


def test_details_that_cannot_be_used_are_all_named_at_once(client: Client, booked: Booked) -> None:
    link = f"{booked[2].get_absolute_url()}details/"
    page = forms.submit(client, link, customer_name="", customer_email="x", notes="Ring twice").content.decode()
    assert "Enter your name" in page
    assert "Enter an e-mail address like" in page
    assert "Ring twice" in page
    scheduling.cancel(booking=booked[2], by=By.CUSTOMER)
    assert client.get(link).status_code == 302


@pytest.mark.race
def test_a_form_posted_at_once_with_two_contents_makes_one_booking(stack: Callable[..., Stack]) -> None:
    """Over HTTP, twenty at a time: every answer leads to the one booking, and its details are those of one post."""
    site = stack(workers=2, threads=4)
    _, week, _ = request(site, "GET", "/book/tap-repair/", "", {})
    link = re.findall(r'href="(/book/tap-repair/details/[^"]+)"', week)[-1].replace("&amp;", "&")
    _, page, cookie = request(site, "GET", link, "", {})
    form = posted(page, **WHO)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, "Referer": site.url + link}
    bodies = [urlencode(form | {"address": [f"{number % 2} Race Street"]}, doseq=True) for number in range(20)]
    with ThreadPoolExecutor(20) as customers:
        post = partial(request, site, "POST", link.partition("?")[0], headers=headers)
        statuses = [status for status, _, _ in customers.map(lambda body: post(body=body), bodies)]
    assert statuses == [302] * 20
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        rows = connection.execute(
            "SELECT address FROM bookings_booking WHERE customer_email = 'robin@example.com' AND address LIKE '%Race%'"
        ).fetchall()
    assert len(rows) == 1
    assert rows[0][0] in ("0 Race Street", "1 Race Street")


def test_a_visit_that_is_over_promises_no_change_and_offers_no_correction(client: Client, booked: Booked) -> None:
    visit = booked[2]
    visit.take_time(timezone.now() - timedelta(days=1))
    visit.save()
    thanks = reverse("booking_confirmed", args=[visit.link_token])
    page = client.get(thanks, follow=True)
    assert page.redirect_chain == [(visit.get_absolute_url(), 302)]
    assert "Correct your details" not in page.content.decode()
    assert "hours to go" not in page.content.decode()
    assert "visit is over" in page.content.decode()


def test_close_to_the_visit_the_page_and_the_e_mail_still_offer_to_correct_details(booked: Booked) -> None:
    visit = booked[2]
    visit.take_time(timezone.now() + timedelta(hours=2))
    visit.grace_until = None
    visit.save()
    page = Client().get(visit.get_absolute_url()).content.decode()
    assert "Correct your details" in page
    assert "can no longer be moved or cancelled here" in page
    message = emails.booking_email(visit, "confirmation")
    assert "can see it and correct your details" in str(message.body)
    assert "can change the booking" not in str(message.body)
