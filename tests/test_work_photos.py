"""Photos of the work: sent by a handyman, seen by the office and by who comes to that customer the next time."""

from datetime import timedelta
from io import BytesIO
from threading import BoundedSemaphore
from typing import Any
from zipfile import ZipFile

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from bookings import events
from bookings.messaging import photos, visit_photos
from bookings.models import Booking, BookingEvent, Handyman, Service, VisitPhoto, VisitReport
from bookings.personal_data import archive, erasure
from bookings.slots.calendars import midnight
from tests import factories
from tests.pictures import picture

pytestmark = pytest.mark.django_db
FEW = [bytes([number]) for number in range(photos.MOST)]


@pytest.fixture
def service() -> Service:
    return factories.service(name="Tap repair")


@pytest.fixture
def grace(service: Service) -> Handyman:
    return with_account(factories.handyman(service, name="Grace"))


def with_account(handyman: Handyman) -> Handyman:
    handyman.user = User.objects.create_user(handyman.slug, is_staff=True)
    handyman.user.groups.add(Group.objects.get(name="Handymen"))
    handyman.save()
    return handyman


def phone_of(handyman: Handyman) -> Client:
    assert handyman.user is not None
    client = Client()
    client.force_login(handyman.user)
    return client


def visit(handyman: Handyman, hour: int = 8, **fields: object) -> Booking:
    at = midnight(timezone.localdate()) + timedelta(hours=hour)
    found = factories.booking(service=handyman.skills.get(), handyman=handyman, starts_at=at, **fields)
    BookingEvent.objects.create(booking=found, kind="created", by="customer")
    return found


def test_he_sends_photos_with_done_and_the_office_sees_whose_they_are(grace: Handyman, admin_client: Client) -> None:
    made, phone = visit(grace), phone_of(grace)
    visit_photos.add(booking=made, jpegs=FEW)
    page = f"/crew/visits/{made.pk}/"
    done = {"kind": "done", "key": "k", "words": "New washer", "photos": [picture(), picture("red")]}
    assert phone.post(page, done).status_code == 302
    made.refresh_from_db()
    assert made.status == "completed"
    assert made.photos.of_the_work().count() == 2, "the customer's five do not use up his"
    photo = made.photos.of_the_work().first()
    assert photo is not None
    assert (photo.handyman, f"/visits/photos/{photo.pk}.jpg" in phone.get(page).content.decode()) == (grace, True)
    assert "Photo from Grace" in admin_client.get(f"/admin/bookings/booking/{made.pk}/change/").content.decode()


def test_what_is_wrong_with_a_photo_loses_no_words(grace: Handyman) -> None:
    made, phone = visit(grace), phone_of(grace)
    page, words = f"/crew/visits/{made.pk}/", SimpleUploadedFile("tap.jpg", b"no picture", "image/jpeg")
    visit_photos.add(booking=made, handyman=grace, jpegs=FEW)
    for wrong, problem in ((words, "could not read that photo"), (picture(), "Remove one first")):
        answer = phone.post(page, {"kind": "done", "key": "k", "words": "New washer", "photos": [wrong]})
        assert answer.status_code == 422
        assert problem in answer.content.decode()
        assert "New washer" in answer.content.decode()
    assert not VisitReport.objects.exists()


def test_he_adds_and_removes_his_own_on_a_page(grace: Handyman, client: Client) -> None:
    made, phone = visit(grace, hour=23), phone_of(grace)
    page = f"/crew/visits/{made.pk}/photos/"
    assert "Choose a photo" in phone.post(page, {}).content.decode()
    for _ in range(2):
        assert phone.post(page, {"photos": [picture()]}).headers["Location"] == page
    his = made.photos.get()
    visit_photos.add(booking=made, jpegs=[b"the customer's"])
    theirs = made.photos.from_customer().get()
    own_page = f"{made.get_absolute_url()}photos/"
    assert f"photo={his.pk}" not in client.get(own_page).content.decode(), "the work is not the customer's to remove"
    assert client.get(f"{made.get_absolute_url()}photo.jpg?photo={his.pk}").status_code == 404
    client.post(own_page, {"remove": str(his.pk)})
    phone.post(page, {"remove": str(theirs.pk)})
    assert made.photos.count() == 2
    phone.post(page, {"remove": str(his.pk)})
    assert list(made.photos.all()) == [theirs]


def test_photos_that_come_too_late_are_kept(grace: Handyman, service: Service) -> None:
    made, phone = visit(factories.handyman(service)), phone_of(grace)
    BookingEvent.objects.create(booking=made, kind="moved", by="staff", was_with=grace)
    as_script = {"Accept": "application/json"}
    assert (
        phone.post(f"/crew/visits/{made.pk}/", {"kind": "done", "key": "k", "photos": [picture()]}).status_code == 409
    )
    answer = phone.post(f"/crew/visits/{made.pk}/photos/", {"photos": [picture("red")]}, headers=as_script)
    assert (answer.status_code, answer.json()) == (200, {"said": "", "refused": ""})
    assert made.photos.of_the_work().count() == 2


def test_a_phone_keeps_what_cannot_be_taken_at_the_moment(grace: Handyman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_room", BoundedSemaphore(1))
    photos._room.acquire()  # as others that are drawn do
    page, as_script = f"/crew/visits/{visit(grace).pk}/photos/", {"Accept": "application/json"}
    answer = phone_of(grace).post(page, {"photos": [picture()]}, headers=as_script)
    assert answer.status_code == 503, "an answer that leaves it in the outbox"


def test_who_comes_the_next_time_sees_what_was_done_there(grace: Handyman, service: Service) -> None:
    ida, stranger = (with_account(factories.handyman(service, name=name)) for name in ("Ida", "Otto"))
    made = visit(grace, customer_email="robin@example.com")
    Booking.objects.filter(pk=made.pk).update(status="completed")
    visit_photos.add(booking=made, handyman=grace, jpegs=[b"the work"])
    visit_photos.add(booking=made, jpegs=[b"the customer's"])
    work, before = (f"/visits/photos/{each.pk}.jpg" for each in made.photos.order_by("handyman"))
    visit(stranger, hour=15, customer_email="kim@example.com", address="9 Elm Road", postcode="N1 1AA")
    assert phone_of(ida).get(work).status_code == 404
    coming = visit(ida, hour=15, customer_email="Robin@example.com", address="5 Oak Road", postcode="SE15 4QL")
    page = phone_of(ida).get(f"/crew/visits/{coming.pk}/").content.decode()
    assert (work in page, before in page) == (True, False)
    seen = {url: [phone_of(each).get(url).status_code for each in (grace, ida, stranger)] for url in (work, before)}
    assert seen == {work: [200, 200, 404], before: [200, 404, 404]}


def test_they_are_given_out_and_erased_with_the_customer(grace: Handyman) -> None:
    made = visit(grace, customer_email="robin@example.com")
    visit_photos.add(booking=made, handyman=grace, jpegs=[b"the work"])
    file = BytesIO()
    archive.write("robin@example.com", file)
    assert any(name.startswith("photos/visit-") for name in ZipFile(file).namelist())
    assert erasure.erase("robin@example.com", cancel=True).photos == 1
    assert visit_photos.add(booking=made, handyman=grace, jpegs=[b"late"]) == 0, "the phone sent it after the erasure"
    assert not VisitPhoto.objects.exists()
    assert phone_of(grace).get(f"/crew/visits/{made.pk}/photos/").status_code == 404


def test_it_is_said_who_has_sent_them(grace: Handyman, django_capture_on_commit_callbacks: Any) -> None:
    heard: list[events.Event] = []

    def hear(event: events.Event, **_: object) -> None:
        heard.append(event)

    events.occurred.connect(hear)
    made = visit(grace)
    with django_capture_on_commit_callbacks(execute=True):
        visit_photos.add(booking=made, handyman=grace, jpegs=[b"the work"])
    assert heard == [events.PhotosAdded(booking_id=made.pk, service=made.service.slug, sender="handyman", count=1)]
