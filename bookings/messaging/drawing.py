"""`python -I drawing.py [SIDE]`: one picture on standard input, drawn again as a JPEG on standard output.

With SIDE its middle is drawn, as a square of so many pixels.

A process of its own, so that what a picture makes the decoder do ends with it: it may take so much memory and time and
no more, and gives all of it back. It knows nothing of the site. Exit codes: 0, TOO_MANY_PIXELS, UNREADABLE.
"""

import os
import re
import resource
import sys
from contextlib import suppress
from io import BytesIO

if __name__ == "__main__":  # pages go first: it runs while nobody else wants the processor
    os.nice(15)
    with suppress(AttributeError, OSError):  # only Linux has it
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

TOO_MANY_PIXELS, UNREADABLE = 3, 4
LONGEST_SIDE = 1600
MEMORY = 100 * 1024 * 1024
"""Bytes of address space beyond what the interpreter and Pillow have."""
SECONDS = 6
"""Of the processor."""
# What may be asked of memory, by what the formats need for a pixel. Cameras send JPEG, of which only a fraction is
# decoded; a progressive one is kept as a whole, in some ten scans, each of which costs a pass over all its pixels.
MOST_PIXELS = {"JPEG": 50_000_000, "MPO": 50_000_000, "PNG": 8_500_000, "WEBP": 4_200_000}
MOST_PROGRESSIVE_PIXELS = 16_000_000
MOST_SCANS = 30
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")  # of a JPEG, with a length; within a scan's data there is none
_END, _SCAN = b"\xd9", b"\xda"
_WEBP = re.compile(
    rb"RIFF....WEBP(?:VP8 .{7}\x9d\x01\x2a(?P<lossy>.{4})|VP8L....\x2f(?P<lossless>.{4})|VP8X.{8}(?P<more>.{6}))",
    re.DOTALL,
)


class TooManyPixelsError(Exception):
    """The header says so."""


def draw(content: bytes, square: int | None = None) -> bytes:
    """The picture upright, as a JPEG of at most 1600 px (or a `square` of its middle), with nothing but its pixels.

    Raises TooManyPixelsError before anything is decoded, and whatever Pillow raises for what it cannot read.
    """
    from PIL import Image, ImageOps  # here: the site imports this module for its name and its exit codes alone

    Image.MAX_IMAGE_PIXELS = None  # stricter limits are ours
    _check_webp(content)  # opening one makes room for all its pixels
    with Image.open(BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as picture:
        progressive = bool(picture.info.get("progressive"))
        most = MOST_PROGRESSIVE_PIXELS if progressive else MOST_PIXELS[picture.format or ""]
        if picture.width * picture.height > most:
            raise TooManyPixelsError
        if picture.format in ("JPEG", "MPO") and _scans(content) > MOST_SCANS:
            raise ValueError("too many scans")
        longest = max(picture.size)  # decoded in the size that is next above the one wanted
        picture.draft(
            "RGB", (picture.width * LONGEST_SIDE // longest or 1, picture.height * LONGEST_SIDE // longest or 1)
        )
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    if square:
        upright = ImageOps.fit(upright, (square, square))
    upright.info.clear()
    drawn = BytesIO()
    upright.save(drawn, "JPEG", quality=82, optimize=True)
    return drawn.getvalue()


def _scans(content: bytes) -> int:
    """How often the pixels of a JPEG are gone through; not those of its thumbnail, nor of what comes after its end."""
    at, scans = 2, 0
    while scans <= MOST_SCANS and (found := _MARKER.search(content, at)) and found[1] != _END:
        scans += found[1] == _SCAN
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
    return scans


def _check_webp(content: bytes) -> None:
    found = _WEBP.match(content)
    if not found:
        return
    if found["more"]:
        width, height = (int.from_bytes(found["more"][at : at + 3], "little") + 1 for at in (0, 3))
    elif found["lossless"]:
        bits = int.from_bytes(found["lossless"], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(found["lossy"][at : at + 2], "little") & 0x3FFF for at in (0, 2))
    if width * height > MOST_PIXELS["WEBP"]:
        raise TooManyPixelsError


def _bound() -> None:
    """What this process may take. Where a system does not know a limit, there is none."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/statm") as memory:
            most = int(memory.read().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> int:
    """Read, draw, write."""
    from PIL import Image

    Image.preinit()  # its plugins, before the limit on memory
    _bound()
    content = sys.stdin.buffer.read()
    try:
        drawn = draw(content, int(sys.argv[1]) if len(sys.argv) > 1 else None)
    except TooManyPixelsError:
        return TOO_MANY_PIXELS
    except Exception:  # also MemoryError; the caller says what the sender can do
        return UNREADABLE
    sys.stdout.buffer.write(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
