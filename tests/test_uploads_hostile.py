"""Uploads that are meant to hurt: too long, too many, too many pixels, scans without end, two things at once."""

import time
from collections.abc import Callable
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image
from playwright.sync_api import Page, expect

from bookings.messaging import photos, spam
from bookings.models import ContactMessage, MessagePhoto
from harness.stack import Stack

WRITTEN = {"topic": "quote", "body": "A long letter", "name": "Ann", "email": "ann@example.com", "phone": ""}
HEAVY = b"\xff\xd8\xff" + b"x" * (photos.MOST_BYTES + 1)


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 64), **options: object) -> bytes:
    drawn = BytesIO()
    Image.new("RGB", size, "olive").save(drawn, kind, **options)
    return drawn.getvalue()


def send(client: Client, *files: bytes) -> tuple[int, str]:
    uploads = [SimpleUploadedFile(f"{number}.jpg", content) for number, content in enumerate(files)]
    answer = client.post("/contact/", WRITTEN | {"opened": spam.opened_stamp(), "photos": uploads})
    return answer.status_code, answer.content.decode()


@pytest.mark.django_db
def test_it_drops_a_photo_that_is_too_large_and_keeps_the_letter(client: Client) -> None:
    status, page = send(client, HEAVY, picture())
    assert status == 422
    assert "10 MB at most" in page
    for text in WRITTEN.values():
        assert text in page


@pytest.mark.django_db
def test_it_refuses_a_body_by_its_length_alone(client: Client) -> None:
    """Nothing of it is read: the stream is not even there."""
    for path, length in (
        ("/contact/", 55_000_001),
        ("/book/x/details/", 55_000_001),
        ("/bookings/x/photos/", 55_000_001),
        ("/admin/login/", 3_000_000),
        ("/", 10**20),
    ):
        answer = client.generic("POST", path, b"", "multipart/form-data; boundary=x", CONTENT_LENGTH=str(length))
        assert answer.status_code == 413, path
        assert "Back" in answer.content.decode()
    assert client.post("/contact/", WRITTEN).status_code != 413


@pytest.mark.django_db
@pytest.mark.parametrize(("field", "number", "expected"), [("x", 1001, 400), ("photos", 6, 422), ("photos", 101, 400)])
def test_it_bounds_the_parts_of_a_form(client: Client, field: str, number: int, expected: int) -> None:
    if field == "photos":
        assert send(client, *[picture(size=(8, 8))] * number)[0] == expected
    else:
        assert client.post("/contact/", {f"x{index}": "1" for index in range(number)}).status_code == expected
    assert not ContactMessage.objects.exists()


def scans(number: int) -> bytes:
    """A progressive JPEG of few kilobytes whose last scan is repeated: each costs a pass over all its pixels."""
    whole = picture(size=(2000, 2000), progressive=True, quality=80)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * number + whole[-2:]


def claiming(kind: str, pixels: int) -> bytes:
    """A small file that claims many pixels."""
    side = int(pixels**0.5)
    drawn = BytesIO()
    Image.new("1", (side, side)).save(drawn, kind)
    return drawn.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("pixels", lambda: claiming("PNG", 30_000_000)),
        ("scans", lambda: scans(5000)),
        ("a page that begins as a picture", lambda: b"\xff\xd8\xff\xe0<html><script>alert(1)</script>"),
        ("a program", lambda: b"MZ" + b"\x00" * 500),
        ("an SVG", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ("a TIFF", lambda: picture("TIFF")),
        ("a cut-off PNG", lambda: picture("PNG")[:-30]),
        ("nothing but zeros", lambda: b"\x00" * 100_000),
    ],
)
def test_it_refuses_what_only_looks_like_a_photo(client: Client, name: str, made: Callable[[], bytes]) -> None:
    bomb = made()
    assert len(bomb) < 2_000_000
    started = time.process_time()
    status, page = send(client, bomb)
    assert status == 422, name
    assert WRITTEN["body"] in page
    assert time.process_time() - started < 5
    assert not MessagePhoto.objects.exists()


@pytest.mark.django_db
def test_it_keeps_the_pixels_of_a_photo_and_nothing_behind_them(client: Client) -> None:
    hidden = b"<?php system($_GET['x']); ?><script>alert(1)</script>PK\x03\x04"
    status, _ = send(client, picture() + hidden, picture("PNG", (300, 4000)) + hidden)
    assert status == 302
    for kept in MessagePhoto.objects.all():
        drawn = bytes(kept.jpeg)
        assert drawn[:2] == b"\xff\xd8"
        assert b"script" not in drawn
        assert b"PK\x03\x04" not in drawn
        assert max(Image.open(BytesIO(drawn)).size) <= 1600


def knock(site: Stack) -> None:
    """Over the wire, with a body that never comes: the answer is there, and the site goes on."""
    for _ in range(4):
        connection = HTTPConnection(urlsplit(site.url).netloc, timeout=30)
        connection.putrequest("POST", "/contact/")
        connection.putheader("Content-Type", "multipart/form-data; boundary=x")
        connection.putheader("Content-Length", str(10**10))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


def test_it_tells_before_anything_is_sent_what_is_too_large(
    stack: Callable[..., Stack], page: Page, tmp_path: Path
) -> None:
    site = stack(threads=2)
    knock(site)
    heavy, light = tmp_path / "heavy.jpg", tmp_path / "light.jpg"
    heavy.write_bytes(HEAVY)
    light.write_bytes(picture())
    page.goto(f"{site.url}/contact/")
    page.get_by_label("Your message").fill("A long letter")
    field = page.get_by_label("Photos")
    field.set_input_files(heavy)
    assert field.evaluate("(field) => field.validationMessage") == "Each photo may have 10 MB at most."
    page.get_by_role("button", name="Send the message").click()
    expect(page.get_by_label("Your message")).to_have_value("A long letter")
    assert not site.log_events("contact_message_received")
    field.set_input_files([light] * 6)
    assert "at most 5" in str(field.evaluate("(field) => field.validationMessage"))
    field.set_input_files(light)
    page.get_by_role("button", name="Send the message").click()
    expect(page.locator(".errors")).to_be_visible()  # of the fields that are missing
