"""Why customers may trust the business: reviews that were asked for and approved, portraits, checks, assurances."""

import json
import re
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from PIL import Image
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling, structured_data, tasks
from bookings.models import Booking, Portrait, Review, Service
from bookings.personal_data import erasure
from tests import factories
from tests.forms import posted, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def service() -> Service:
    service = factories.service(name="Tap repair")
    factories.handyman(service, name="Grace", slug="grace", checked_for="Identity\nReferences")
    return service


@pytest.fixture
def visit(service: Service) -> Booking:
    """A visit that has just been completed."""
    booking = scheduling.book(
        service=service,
        starts_at=factories.tomorrow(10),
        customer=factories.customer(customer_name="Robin Example", customer_email="robin@example.com"),
        idempotency_key="visit",
    )
    booking.take_time(booking.starts_at - timedelta(days=4))
    booking.save()
    return scheduling.complete(booking=booking)


def asked() -> list[Any]:
    return list(ProcrastinateJob.objects.filter(task_name="send_review_request"))


def test_a_review_is_asked_for_written_approved_and_shown(
    client: Client, admin_client: Client, visit: Booking, mailoutbox: list[EmailMessage]
) -> None:
    (job,) = asked()
    assert timezone.localtime(job.scheduled_at).hour == 10
    for _ in range(2):
        tasks.send_review_request(booking_id=visit.pk)
    (letter,) = mailoutbox
    found = re.search(r"/bookings/\S+/review/", str(letter.body))
    assert found
    link = found[0]
    form = client.get(link).content
    assert posted(form)["author"] == ["Robin"]
    assert client.post(link, posted(form)).status_code == 422
    said = posted(form, rating="4", body="Came, saw, mended <b>it</b>.", place="Peckham")
    for _ in range(2):
        assert "Thank you for your review" in client.post(link, said, follow=True).content.decode()
    review = Review.objects.get()
    assert (review.booking, review.service, review.published) == (visit, visit.service, False)
    assert "Came, saw" not in client.get("/").content.decode(), "nobody reads it before it is approved"
    assert "Reviews to approve" in admin_client.get("/admin/").content.decode()
    assert list(Review.objects.to_approve()) == [review]
    submit(admin_client, f"/admin/bookings/review/{review.pk}/change/", published="on")
    assert not Review.objects.to_approve().exists()
    for page in ("/", f"/services/{visit.service.slug}/"):
        shown = client.get(page).content.decode()
        assert "Came, saw, mended &lt;b&gt;it" in shown
        assert "4.0 out of 5" in shown


def test_a_second_review_is_told_that_the_first_one_stands(client: Client, visit: Booking) -> None:
    link = f"{visit.get_absolute_url()}review/"
    said = posted(client.get(link).content, rating="4", body="Came, saw, mended it.")
    assert client.post(link, said).status_code == 302
    assert client.post(link, said).status_code == 200, "the same form sent twice is one review"
    other = client.post(link, said | {"body": ["It drips again."]})
    assert other.status_code == 409
    assert "it stays as you wrote it first" in other.content.decode()
    assert "Came, saw, mended it." in other.content.decode()
    assert Review.objects.get().body == "Came, saw, mended it."


def test_no_review_is_asked_for_where_there_is_nothing_to_review(
    visit: Booking, client: Client, mailoutbox: list[EmailMessage]
) -> None:
    scheduling.undo(booking=visit)
    tasks.send_review_request(booking_id=visit.pk)
    assert client.get(f"{visit.get_absolute_url()}review/").status_code == 302
    scheduling.complete(booking=visit)
    Booking.objects.update(customer_email="")
    tasks.send_review_request(booking_id=visit.pk)
    assert not mailoutbox


def test_a_review_that_was_refused_waits_for_nobody_and_goes_with_its_customer(
    admin_client: Client, visit: Booking
) -> None:
    review = Review.objects.create(
        booking=visit, author="Robin", body="Rude words", date="2026-01-01", published=False, looked_at=None
    )
    submit(admin_client, f"/admin/bookings/review/{review.pk}/change/")
    assert not Review.objects.shown().exists()
    assert not Review.objects.to_approve().exists()
    erasure.erase("robin@example.com")
    assert not Review.objects.exists()


def test_average_and_count_are_structured_data(service: Service) -> None:
    assert "aggregateRating" not in structured_data.business([], [], Review.objects.summary())
    for rating, published in ((5, True), (4, True), (4, True), (1, False)):
        Review.objects.create(
            author="A", body="B", rating=rating, date="2026-01-01", published=published, service=service
        )
    for made in (
        structured_data.business([], [], Review.objects.summary()),
        structured_data.service(service, service.reviews.summary()),
    ):
        rated = json.loads(made)["aggregateRating"]
        assert (rated["ratingValue"], rated["reviewCount"]) == (4.3, 3)


def test_the_owner_says_who_comes_and_what_the_business_stands_for(
    client: Client, admin_client: Client, service: Service
) -> None:
    page = f"/services/{service.slug}/"
    assert "What we stand for" not in client.get(page).content.decode()
    picture = BytesIO()
    Image.new("RGB", (900, 500), "teal").save(picture, "PNG")
    grace = service.handymen.get()
    sent = {"handyman": grace.pk, "picture": SimpleUploadedFile("me.png", picture.getvalue(), "image/png")}
    assert admin_client.post("/admin/bookings/portrait/add/", sent).status_code == 302
    submit(admin_client, "/admin/bookings/assurance/add/", title="Insured", body="For two million pounds.")
    shown = client.get(page).content.decode()
    for said in ("Checked: Identity, References", "Insured", "For two million pounds."):
        assert said in shown
    assert "Insured" in client.get("/").content.decode()
    portrait = Portrait.objects.get()
    assert portrait.get_absolute_url() in shown
    answer = client.get(portrait.get_absolute_url())
    assert Image.open(BytesIO(answer.content)).size == (320, 320)
    assert "immutable" in answer["Cache-Control"]
    again = admin_client.post("/admin/bookings/portrait/add/", {**sent, "picture": SimpleUploadedFile("x.png", b"no")})
    assert again.status_code == 200
    grace.active = False
    grace.save()
    assert client.get(portrait.get_absolute_url()).status_code == 404
