"""Photos on a full disk: a limit on the size of files stands for the disk's end."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from bookings.messaging import spam
from bookings.models import ContactMessage

TYPED = {"topic": "question", "body": "My tap drips.", "name": "Jo", "email": "jo@example.com"}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.django_db
@pytest.mark.parametrize("room", [0, 1_000_000])
def test_it_keeps_the_message_when_there_is_no_room_for_its_photos(client: Client, room: int) -> None:
    fields = TYPED | {"opened": spam.opened_stamp()}
    photo = SimpleUploadedFile("tap.jpg", bytes(3_000_000), "image/jpeg")
    with files_of_at_most(room):
        page = client.post("/contact/", fields | {"photos": [photo]})
    assert page.status_code == 422
    assert "We cannot take photos just now" in page.content.decode()
    assert "My tap drips." in page.content.decode()
    assert "Choose your photos again" in page.content.decode()
    assert client.post("/contact/", fields).status_code == 302
    assert ContactMessage.objects.count() == 1
