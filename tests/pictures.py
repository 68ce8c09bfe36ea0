"""Pictures to upload."""

from io import BytesIO

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image


def png(colour: str = "teal") -> bytes:
    content = BytesIO()
    Image.new("RGB", (60, 40), colour).save(content, "PNG")
    return content.getvalue()


def picture(colour: str = "teal") -> SimpleUploadedFile:
    return SimpleUploadedFile("tap.png", png(colour), "image/png")
