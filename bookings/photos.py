"""Photos that visitors send. What is kept is drawn anew from the pixels: no metadata, no place, nothing hidden."""

from io import BytesIO
from threading import Lock
from typing import IO

from django.core.exceptions import ValidationError
from PIL import Image, ImageOps

MOST = 5
MOST_BYTES = 10 * 1024 * 1024
# What a file of a few kilobytes can ask for: memory by its pixels, hours by its scans. Cameras send JPEG, of which only
# a fraction is decoded, in some ten scans at most.
_MOST_PIXELS = {"JPEG": 50_000_000, "MPO": 50_000_000, "PNG": 25_000_000, "WEBP": 25_000_000}
_MOST_SCANS = 100
_START_OF_SCAN = b"\xff\xda"  # never within a scan's own data
_LONGEST_SIDE = 1600
_FORMATS = ("JPEG", "PNG", "WEBP")
_one_at_a_time = Lock()  # of this process: pictures are large in memory until they are small


def redraw(file: IO[bytes], *, size: int) -> bytes:
    """The picture as a JPEG of at most 1600 px. Raises ValidationError for what is too large or not a picture."""
    if size > MOST_BYTES:
        raise ValidationError("Each photo may have 10 MB at most.")
    try:
        content = file.read()
        with Image.open(BytesIO(content), formats=_FORMATS) as picture:
            if picture.width * picture.height > _MOST_PIXELS.get(picture.format or "", 0):
                raise ValidationError("That photo has too many pixels. Send a smaller one.")
            if content.count(_START_OF_SCAN) > _MOST_SCANS:
                raise ValidationError("We could not read that photo. Save it anew, or send another.")
            with _one_at_a_time:
                picture.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
                picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except ValidationError:
        raise
    except Exception as error:
        raise ValidationError("We could not read that photo. Send a JPEG, PNG or WebP picture.") from error
    upright.info.clear()
    drawn = BytesIO()
    upright.save(drawn, "JPEG", quality=82, optimize=True)
    return drawn.getvalue()
