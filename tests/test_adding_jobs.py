"""Another job in a booked visit, while it fits: same window, same handyman, priced as shown."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.test import Client

from bookings import scheduling
from bookings.messaging import emails, notifications
from bookings.models import Booking, BookingEvent, Notification, Service
from bookings.phrases import price
from bookings.scheduling import By
from tests import factories
from tests.forms import posted

MINUTE = timedelta(minutes=1)
KIND = BookingEvent.Kind


@pytest.fixture
def visit(db: None) -> Booking:
    """Doors from nine, by somebody who also does taps and works until three."""
    doors = factories.service(slug="doors", name="Door repair", duration_minutes=60, buffer_minutes=30)
    tap = factories.service(slug="tap", name="Tap repair", duration_minutes=90, buffer_minutes=45, price_pence=8500)
    tv = factories.service(slug="tv", name="TV on the wall")
    long = factories.service(slug="long", name="Long job", duration_minutes=300)
    factories.handyman(doors, tap, long, start=time(9), end=time(15))
    factories.handyman(tv)
    who = factories.customer()
    booking = scheduling.book(service=doors, starts_at=factories.tomorrow(9, days=5), customer=who, idempotency_key="v")
    return Booking.objects.with_jobs().get(pk=booking.pk)


def page_of(booking: Booking) -> str:
    return f"{booking.get_absolute_url()}jobs/"


def test_it_shows_what_fits_and_adds_it(client: Client, visit: Booking) -> None:
    assert page_of(visit) in client.get(visit.get_absolute_url()).content.decode()
    page = client.get(page_of(visit)).content.decode()
    assert "Tap repair" in page
    assert "£85 fixed price, 1½ hours" in page
    assert "TV on the wall" not in page, "another handyman does it"
    assert "Long job" not in page, "it would last beyond the day"
    Service.objects.filter(slug="doors").update(price_pence=9900)
    form = posted(page, job=f"tap {Service.objects.get(slug='tap').offer}")
    answer = client.post(page_of(visit), form)
    assert (answer.status_code, answer["Location"]) == (302, f"{visit.get_absolute_url()}?done=job")
    assert client.post(page_of(visit), form).status_code == 302, "the same form, posted twice"
    booking = Booking.objects.with_jobs().get()
    assert booking.what == "Door repair, Tap repair"
    assert price(booking) == "£145 fixed price"
    assert (booking.duration, booking.buffer) == (150 * MINUTE, 45 * MINUTE)
    assert (booking.starts_at, booking.handyman_id) == (visit.starts_at, visit.handyman_id)
    assert [event.kind for event in booking.events.all()] == [KIND.CREATED, KIND.ADDED]
    assert emails.booking_email(booking, "added").subject == f"Another job in your booking {booking.reference}"
    assert "The job is added" in client.get(answer["Location"]).content.decode()
    who = factories.customer()
    with pytest.raises(scheduling.SlotTaken):
        scheduling.book(service=booking.service, starts_at=visit.starts_at, customer=who, idempotency_key="w")


def test_another_price_than_the_one_shown_adds_nothing(client: Client, visit: Booking) -> None:
    form = posted(client.get(page_of(visit)).content, job=f"tap {Service.objects.get(slug='tap').offer}")
    Service.objects.filter(slug="tap").update(price_pence=9900)
    answer = client.post(page_of(visit), form)
    assert answer.status_code == 409
    assert "£99 fixed price" in answer.content.decode()
    assert "Nothing has changed" in answer.content.decode()
    assert Booking.objects.get().what == "Door repair"
    for wrong in ({"job": [""]}, {"job": ["tap\x00 x"]}, {"position": ["x"]}, {"position": ["7"]}):
        now = {"job": [f"tap {Service.objects.get(slug='tap').offer}"]}
        assert client.post(page_of(visit), form | now | wrong).status_code == 409
    assert Booking.objects.get().what == "Door repair"


def test_time_that_went_to_somebody_else_is_not_taken(client: Client, visit: Booking) -> None:
    form = posted(client.get(page_of(visit)).content, job=f"tap {Service.objects.get(slug='tap').offer}")
    factories.booking(service=visit.service, handyman=visit.handyman, starts_at=visit.starts_at + timedelta(hours=2))
    answer = client.post(page_of(visit), form)
    assert answer.status_code == 409
    assert "There is no time for that job in this visit any more" in answer.content.decode()
    visit.refresh_from_db()
    assert visit.what == "Door repair"


def test_a_deadline_a_deposit_and_a_full_visit_stand_in_the_way(client: Client, visit: Booking, settings: Any) -> None:
    tap = Service.objects.get(slug="tap")
    late = visit.change_deadline + timedelta(minutes=30)
    with pytest.raises(scheduling.TooLate):
        scheduling.add_job(booking=visit, service=tap, position=1, by=By.CUSTOMER, now=late)
    settings.STRIPE_SECRET_KEY = "sk_test"
    Service.objects.update(deposit_pence=2000)
    assert "No other job fits" in client.get(page_of(visit)).content.decode().replace("\n", " ")
    settings.STRIPE_SECRET_KEY = ""
    settings.BOOKING_JOBS_PER_VISIT = 1
    assert client.get(page_of(visit)).status_code == 302
    assert page_of(visit) not in client.get(visit.get_absolute_url()).content.decode()
    with pytest.raises(scheduling.NotPossible):
        scheduling.add_job(booking=visit, service=tap, position=1, by=By.CUSTOMER)


def test_the_handyman_is_notified(visit: Booking) -> None:
    Notification.objects.all().delete()
    scheduling.add_job(booking=visit, service=Service.objects.get(slug="tap"), position=1, by=By.STAFF)
    row = visit.events.get(kind=KIND.ADDED)
    assert row.note == "Tap repair"
    mail = emails.notification_email(visit.handyman, notifications.changes([row.pk]), 0)
    assert mail.subject.startswith("Job added: Door repair and 1 more job")
