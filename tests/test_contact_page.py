"""The contact page: messages that are kept, suspected, refused; photos."""

import re
import struct
from datetime import UTC, datetime
from io import BytesIO
from urllib.parse import urlencode

import pytest
from django.core import signing
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from bookings.messaging import spam
from bookings.models import (
    ContactMessage,
)
from tests.pages import text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files", "demo_business")]


WRITTEN = {
    "key": "fedcba9876543210",
    "topic": "quote",
    "name": "Robin Example",
    "email": "robin@example.com",
    "body": "Could you put up a fence?",
}


def opened(seconds_ago: float, monkeypatch: pytest.MonkeyPatch) -> str:
    """A stamp of a form that was shown some seconds ago."""
    with monkeypatch.context() as patched:
        now = datetime.now(UTC).timestamp()
        patched.setattr(signing.time, "time", lambda: now - seconds_ago)  # type: ignore[attr-defined] # imported there
        return spam.opened_stamp()


def test_it_keeps_a_message_and_thanks(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    response = client.post("/contact/", WRITTEN | {"opened": opened(20, monkeypatch)}, follow=True)
    assert "Thank you" in text(response)
    message = ContactMessage.objects.get()
    assert (message.topic, message.body, message.suspected_spam) == ("quote", WRITTEN["body"], False)


def test_it_keeps_a_second_message_from_the_same_form(client: Client) -> None:
    posted = WRITTEN | {"opened": spam.opened_stamp()}
    for body in (WRITTEN["body"], WRITTEN["body"], "And a gate?"):
        client.post("/contact/", posted | {"body": body})
    assert set(ContactMessage.objects.values_list("body", flat=True)) == {WRITTEN["body"], "And a gate?"}
    assert ContactMessage.objects.count() == 2


@pytest.mark.parametrize(
    ("sign", "age"),
    [
        ({"website": "https://spam.example"}, 20),
        ({"body": "http://a.example http://b.example www.c.example"}, 20),
        ({}, 1),
        ({"opened": ""}, 20),
        ({"opened": "form:forged:stamp"}, 20),
    ],
)
def test_it_keeps_suspected_spam_flagged_and_thanks_all_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch, sign: dict[str, str], age: float
) -> None:
    response = client.post("/contact/", WRITTEN | {"opened": opened(age, monkeypatch)} | sign, follow=True)
    assert "Thank you" in text(response)
    assert ContactMessage.objects.get().suspected_spam


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("topic", "hack", "Select a valid choice"),
        ("body", "", "Write your message"),
        ("email", "?", "Enter an e-mail"),
        ("email", "x" * 250 + "@example.com", "at most 254 characters"),
    ],
)
def test_it_keeps_what_was_written_when_something_is_missing(
    client: Client, field: str, value: str, sentence: str
) -> None:
    response = client.post("/contact/", WRITTEN | {"opened": spam.opened_stamp(), field: value})
    assert response.status_code == 422
    assert sentence in text(response)
    assert WRITTEN["name"] in text(response)
    assert not ContactMessage.objects.exists()


def picture(kind: str = "JPEG", size: tuple[int, int] = (2400, 1200)) -> bytes:
    """A picture that knows where it was taken and that it stands on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 0.0)
    file = BytesIO()
    Image.new("RGB", size, "red").save(file, kind, exif=exif)
    return file.getvalue()


def broken_exif() -> bytes:
    """A JPEG that stands on its side, with text for the number of its resolution."""
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x011A, 2, 4, b"abc\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)
    return file.getvalue()[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + file.getvalue()[2:]


def test_it_keeps_photos_for_staff_without_what_they_reveal(client: Client, admin_client: Client) -> None:
    files = [SimpleUploadedFile("a.jpg", picture()), SimpleUploadedFile("b.png", picture("PNG"))]
    posted = WRITTEN | {"opened": spam.opened_stamp(), "photos": files}
    assert client.post("/contact/", posted).status_code == 302
    message = ContactMessage.objects.get()
    assert message.photos.count() == 2
    path = f"/contact/photos/{message.photos.earliest('pk').pk}.jpg"
    assert client.get(path).status_code == 302, "to the login of staff"
    with Image.open(BytesIO(admin_client.get(path).content)) as kept:
        assert (kept.format, kept.size) == ("JPEG", (800, 1600))
        assert not kept.getexif()
    assert path in text(admin_client.get(f"/admin/bookings/contactmessage/{message.pk}/change/"))


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ([b"<svg onload=alert(1)>"], "could not read that photo"),
        ([picture()[:4000]], "could not read that photo"),
        ([b"GIF89a"], "could not read that photo"),
        ([broken_exif()], "could not read that photo"),
        ([picture("PNG", (9000, 6000))], "too many pixels"),
        ([picture(size=(8, 8)) + b" " * 10 * 1024 * 1024], "10 MB at most"),
        ([picture(size=(8, 8))] * 6, "at most 5 photos"),
    ],
)
def test_it_refuses_photos_that_are_none_and_keeps_the_message(
    client: Client, sent: list[bytes], sentence: str
) -> None:
    files = [SimpleUploadedFile("photo.jpg", each) for each in sent]
    response = client.post("/contact/", WRITTEN | {"opened": spam.opened_stamp(), "photos": files})
    assert response.status_code == 422
    assert sentence in text(response)
    assert WRITTEN["body"] in text(response)
    assert not ContactMessage.objects.exists()


def test_it_chooses_the_topic_that_a_link_names(client: Client) -> None:
    assert re.search(r'value="quote"[^>]*checked', text(client.get("/contact/?" + urlencode({"topic": "quote"}))))
