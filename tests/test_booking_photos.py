"""Photos sent with the booking form: kept for who comes, and never in the way of the booking."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from bookings import connections, events
from bookings.messaging import photos, visit_photos
from bookings.models import Booking, Service
from tests import factories
from tests.forms import posted
from tests.pictures import picture
from tests.test_offers import WHO
from tests.test_visit_photos import crew_of

pytestmark = pytest.mark.django_db
NO_PICTURE = b"no picture"


@pytest.fixture
def service() -> Service:
    service = factories.service(name="Tap repair")
    factories.handyman(service)
    return service


@pytest.fixture
def form(client: Client, service: Service) -> dict[str, Any]:
    """What the details form sends, filled in."""
    page = client.get(address(service), {"start": factories.tomorrow(10, days=5).isoformat()})
    assert 'enctype="multipart/form-data"' in page.content.decode()
    return posted(page.content, **WHO)


def address(service: Service) -> str:
    return f"/book/{service.slug}/details/"


def test_they_are_kept_with_the_booking_for_who_comes(
    client: Client,
    admin_client: Client,
    service: Service,
    form: dict[str, Any],
    heard: list[events.Event],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):  # the second is an impatient tap
            sent = form | {"photos": [picture(), picture("red")]}
            booked = client.post(address(service), sent, follow=True)
    visit = Booking.objects.get()
    assert "Your photos (2)" in booked.content.decode()
    assert visit.photos.from_customer().count() == 2
    added = [event for event in heard if isinstance(event, events.PhotosAdded)]
    assert added == [events.PhotosAdded(booking_id=visit.pk, service=service.slug, sender="customer", count=2)]
    his = crew_of(visit.handyman).get(f"/crew/visits/{visit.pk}/", follow=True).content.decode()
    office = admin_client.get(f"/admin/bookings/booking/{visit.pk}/change/").content.decode()
    for shown in visit.photos.all():
        assert f"/visits/photos/{shown.pk}.jpg" in his
        assert f"/visits/photos/{shown.pk}.jpg" in office


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ([NO_PICTURE], "We could not read that photo."),
        ([b"\xff\xd8\xff" + bytes(photos.MOST_BYTES)], "Each photo may have 10 MB at most."),
        ([NO_PICTURE] * (photos.MOST + 1), "Choose at most 5 photos."),
    ],
)
def test_a_refused_one_costs_neither_the_window_nor_what_was_typed(
    client: Client, service: Service, form: dict[str, Any], sent: list[bytes], sentence: str
) -> None:
    files = [SimpleUploadedFile("tap.jpg", content, "image/jpeg") for content in sent]
    answer = client.post(address(service), form | {"photos": files})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert f'<a href="#id_photos">{sentence}' in page
    assert "Choose your photos again" in page
    assert all(value in page for value in WHO.values())
    assert not Booking.objects.exists()
    assert client.post(address(service), posted(page)).status_code == 302, "it books without"
    assert Booking.objects.get().starts_at == factories.tomorrow(10, days=5)


def test_it_books_without_photos_while_they_cannot_be_taken(
    client: Client, service: Service, form: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "BOOKING_TIMEOUT", 0.1)
    with photos._turn():
        answer = client.post(address(service), form | {"photos": [picture()]})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "We cannot take photos just now. Send this without them" in page
    assert "Or book without, and add them to your booking afterwards." in page
    assert client.post(address(service), posted(page)).status_code == 302


def test_they_are_drawn_last_and_hold_nothing_meanwhile(
    client: Client, service: Service, form: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, released = list[list[str | None]](), list[bool]()
    draw = photos._given

    def given(file: Any) -> dict[str, Any]:
        held.append(list(connection.savepoint_ids))
        return draw(file)

    monkeypatch.setattr(photos, "_given", given)
    monkeypatch.setattr(connections, "release", lambda: released.append(True))
    answer = client.post(address(service), form | {"consent": "", "photos": [picture()]})
    assert answer.status_code == 422
    assert "Choose your photos again" in answer.content.decode()
    assert not held
    assert client.post(address(service), form | {"photos": [picture()]}).status_code == 302
    assert (held, released) == ([[]], [True])


def test_other_photos_of_the_same_form_are_not_lost_unseen(
    client: Client, service: Service, form: dict[str, Any]
) -> None:
    assert client.post(address(service), form).status_code == 302
    visit = Booking.objects.get()
    visit_photos.add(booking=visit, jpegs=[bytes([number]) for number in range(photos.MOST)])
    answer = client.post(address(service), form | {"photos": [picture()]}, follow=True)
    assert "Remove one to send another" in answer.content.decode()
    assert visit.photos.count() == photos.MOST


def test_a_window_that_was_taken_says_that_photos_are_to_be_chosen_again(
    client: Client, service: Service, form: dict[str, Any]
) -> None:
    starts = factories.tomorrow(10, days=5)
    for each in service.handymen.all():
        factories.booking(service=service, handyman=each, starts_at=starts)
    answer = client.post(address(service), form | {"photos": [picture()]})
    assert answer.status_code == 409
    assert "Choose your photos again" in answer.content.decode()
    other_times = client.post(address(service), form | {"change": "1", "photos": "tap.jpg"})
    assert "Choose your photos again" in other_times.content.decode()


def test_a_job_that_is_gone_says_so_too(client: Client, service: Service, form: dict[str, Any]) -> None:
    Service.objects.update(active=False)
    answer = client.post(address(service), form | {"photos": [picture()]})
    assert answer.status_code == 404
    assert "choose them again there" in answer.content.decode()
