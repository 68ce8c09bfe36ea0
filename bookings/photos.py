"""Photos that visitors send. What is kept is drawn anew from the pixels: no metadata, no place, nothing hidden."""

from io import BytesIO
from typing import IO

from django.core.exceptions import ValidationError
from PIL import Image, ImageOps

MOST = 5
_MOST_BYTES = 10 * 1024 * 1024
_MOST_PIXELS = 50_000_000  # a file of a few kilobytes can claim to be larger than the memory
_LONGEST_SIDE = 1600
_FORMATS = ("JPEG", "PNG", "WEBP")


def redraw(file: IO[bytes], *, size: int) -> bytes:
    """The picture as a JPEG of at most 1600 px. Raises ValidationError for what is too large or not a picture."""
    if size > _MOST_BYTES:
        raise ValidationError("Each photo may have 10 MB at most.")
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise ValidationError("That photo has too many pixels. Send a smaller one.")
            picture.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except ValidationError:
        raise
    except Exception as error:
        raise ValidationError("We could not read that photo. Send a JPEG, PNG or WebP picture.") from error
    upright.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    upright.info.clear()
    drawn = BytesIO()
    upright.save(drawn, "JPEG", quality=82, optimize=True)
    return drawn.getvalue()
