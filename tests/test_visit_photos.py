"""Photos of a visit: sent by its customer, seen by who comes and the office, and by nobody else."""

from datetime import time
from io import BytesIO
from zipfile import ZipFile

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from bookings import scheduling
from bookings.messaging import photos, visit_photos
from bookings.models import Booking, Handyman, VisitPhoto
from bookings.personal_data import archive, erasure
from tests import factories
from tests.forms import posted
from tests.pictures import picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def visit() -> Booking:
    service = factories.service(name="Tap repair")
    factories.handyman(service, name="Grace", start=time(8))
    who = factories.customer(customer_email="robin@example.com")
    return scheduling.book(service=service, starts_at=factories.tomorrow(10), customer=who, idempotency_key="visit")


def crew_of(handyman: Handyman) -> Client:
    handyman.user = User.objects.create_user(handyman.slug, is_staff=True)
    handyman.user.groups.add(Group.objects.get(name="Handymen"))
    handyman.save()
    client = Client()
    client.force_login(handyman.user)
    return client


def test_a_customer_sends_photos_and_who_comes_sees_them(client: Client, admin_client: Client, visit: Booking) -> None:
    link = f"{visit.get_absolute_url()}photos/"
    assert link in client.get(f"{visit.get_absolute_url()}confirmed/").content.decode()
    for _ in range(2):
        answer = client.post(link, {"photos": [picture(), picture("red")]}, follow=True)
        assert answer.status_code == 200
    assert visit.photos.count() == 2, "the same picture sent twice is one"
    photo = visit.photos.first()
    assert photo is not None
    own = client.get(f"{visit.get_absolute_url()}photo.jpg?photo={photo.pk}")
    assert Image.open(BytesIO(own.content)).format == "JPEG"
    for_staff = f"/visits/photos/{photo.pk}.jpg"
    assert client.get(for_staff).status_code == 302, "a stranger is asked to log in"
    crew = crew_of(visit.handyman)
    assert for_staff in crew.get(f"/crew/visits/{visit.pk}/", follow=True).content.decode()
    assert crew.get(for_staff)["Content-Type"] == "image/jpeg"
    assert crew_of(factories.handyman()).get(for_staff).status_code == 404, "of a colleague's visit"
    assert for_staff in admin_client.get(f"/admin/bookings/booking/{visit.pk}/change/").content.decode()
    client.post(link, {"remove": str(photo.pk)})
    assert visit.photos.count() == 1


def test_a_visit_has_few_photos_and_they_are_pictures(client: Client, visit: Booking) -> None:
    link = f"{visit.get_absolute_url()}photos/"
    assert "Choose a photo" in client.post(link, posted(client.get(link).content)).content.decode()
    words = SimpleUploadedFile("tap.jpg", b"no picture", "image/jpeg")
    assert client.post(link, {"photos": [words]}).status_code == 422
    assert client.post(link, {"photos": [picture()] * (photos.MOST + 1)}).status_code == 422
    visit_photos.add(booking=visit, jpegs=[bytes([number]) for number in range(photos.MOST)])
    answer = client.post(link, {"photos": [picture()]})
    assert answer.status_code == 422
    assert "Remove one first" in answer.content.decode()
    other = factories.booking(service=visit.service, handyman=visit.handyman, starts_at=factories.tomorrow(15))
    theirs = VisitPhoto.objects.create(booking=other, jpeg=b"x", digest="x")
    client.post(link, {"remove": str(theirs.pk)})
    assert VisitPhoto.objects.filter(pk=theirs.pk).exists()
    assert client.get(f"{visit.get_absolute_url()}photo.jpg?photo={theirs.pk}").status_code == 404
    scheduling.cancel(booking=visit, by=scheduling.By.STAFF)
    assert client.get(link).status_code == 302


def test_photos_are_given_out_and_erased_with_the_customer(visit: Booking) -> None:
    visit_photos.add(booking=visit, jpegs=[b"one"])
    file = BytesIO()
    archive.write("robin@example.com", file)
    assert any(name.startswith("photos/visit-") for name in ZipFile(file).namelist())
    assert erasure.erase("robin@example.com", cancel=True).photos == 1
    assert not VisitPhoto.objects.exists()


def test_the_postcode_is_asked_for_first_and_what_is_known_is_filled_in(client: Client, visit: Booking) -> None:
    link = f"/book/{visit.service.slug}/details/?start={factories.tomorrow(15):%Y-%m-%dT%H:%M:%SZ}&postcode=SE15 4QL"
    page = client.get(link).content.decode()
    assert page.index('name="postcode"') < page.index('name="address"')
    assert posted(page)["postcode"] == ["SE15 4QL"]
