"""Photos that visitors send. What is kept is drawn again from the pixels: no metadata, no place, nothing hidden."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from bookings import connections
from bookings.messaging import drawing

MOST = 5
MOST_BYTES = 10 * 1024 * 1024
TIMEOUT = 20.0
"""Seconds for the turn to come."""
BOOKING_TIMEOUT = 10.0
"""Seconds for all photos of a booking, which goes on without them then: its window may be taken meanwhile."""
SECONDS = 15.0
"""Seconds for the drawing, of a clock on the wall: it runs while nobody else wants the processor."""
PAUSE = 0.4
"""Seconds until the next turn after a picture that was refused. Each such answer costs its process a page's work, for
which the pages of others wait: whoever sends many of them gets few turns."""
_room = BoundedSemaphore(6)
"""Of this process, for the one being drawn and those that wait: every one has a thread."""
# Pages go first: where util-linux is, from the start of the interpreter on; else drawing.py says so itself.
_BEHIND = (chrt, "--idle", "0") if (chrt := shutil.which("chrt")) else ()
_COMMAND = (*_BEHIND, sys.executable, "-I", str(Path(drawing.__file__)))
_BUSY = "We cannot take photos just now. Send this without them, or later."
_REFUSALS = {
    drawing.TOO_MANY_PIXELS: "That photo has too many pixels. Send it as an ordinary JPEG, or smaller.",
}
_UNREADABLE = "We could not read that photo. Send a JPEG, PNG or WebP picture, or save it again."


def busy() -> ValidationError:
    """There is no room or no time for photos at the moment. Its code is "busy": the same ones may be taken later."""
    return ValidationError(_BUSY, code="busy")


def redraw_all(uploads: Sequence[UploadedFile], *, within: float | None = None) -> list[bytes]:
    """Each as `redraw` gives it. Raises as it does; `within`, in seconds, bounds all of them together."""
    until = None if within is None else time.monotonic() + within
    return [redraw(each, size=each.size or 0, until=until) for each in uploads]


def redraw(file: IO[bytes], *, size: int, square: int | None = None, until: float | None = None) -> bytes:
    """The picture as a JPEG of at most 1600 px, or its middle as a `square` of so many.

    A process of its own draws it, one at a time on this machine: a few kilobytes can ask for all memory and minutes.
    Raises ValidationError for what is too large or not a picture, and `busy` if it is not done `until` then (of the
    monotonic clock).
    """
    if size > MOST_BYTES:
        raise ValidationError("Each photo may have 10 MB at most.")
    command = [*_COMMAND, str(square)] if square else _COMMAND
    connections.release()
    with _turn(until):
        seconds = SECONDS if until is None else min(SECONDS, until - time.monotonic())
        try:
            done: subprocess.CompletedProcess[bytes] = subprocess.run(  # noqa: S603  # a fixed command of our own
                command, **_given(file), capture_output=True, timeout=seconds, env={}, check=False
            )
        except (subprocess.TimeoutExpired, OSError) as error:  # no processor, or no process, is to be had
            raise busy() from error
        if done.returncode:
            time.sleep(PAUSE)
    if done.returncode:
        raise ValidationError(_REFUSALS.get(done.returncode, _UNREADABLE))
    return done.stdout


def _given(file: IO[bytes]) -> dict[str, Any]:
    """The picture for a process: the file itself, else its bytes, which this process would pass on piece by piece."""
    try:
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
    except OSError:  # in memory
        return {"input": file.read()}
    return {"stdin": file}


@contextmanager
def _turn(until: float | None = None) -> Iterator[None]:
    """Wait for the others, of this process and of all web workers.

    Raises ValidationError when it takes too long, and at once when too many wait already.
    """
    if not _room.acquire(blocking=False):
        raise busy()
    try:
        with _lock(time.monotonic() + TIMEOUT if until is None else until):
            yield
    finally:
        _room.release()


@contextmanager
def _lock(deadline: float) -> Iterator[None]:
    # The directory of the photos itself: in the temporary one anybody on the machine could hold a file of that name.
    try:
        Path(settings.MEDIA_ROOT).mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(settings.MEDIA_ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise busy() from error
    try:
        while not _taken(lock):
            if time.monotonic() > deadline:
                raise busy()
            time.sleep(0.05)
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
