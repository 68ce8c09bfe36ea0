"""Reading a request's body without trusting the sender: so many bytes, so many seconds, no more."""

import contextlib
import select
import time
from typing import Any

socket_key = ""
"""Under which key of the WSGI environment the server gives a request's socket; an adapter in contrib sets it."""


class SlowBody(Exception):
    """The body did not arrive in time."""


class ShortBody(Exception):
    """The sender went away before the body was complete."""


def read(environ: dict[str, Any], length: int, seconds: float) -> bytes:
    """`length` bytes of a WSGI request's body, within `seconds`. Raises SlowBody or ShortBody.

    A server's threads may read from a blocking socket, whose time-out counts from one byte to the next, so a
    sender of one byte now and then would hold the thread for ever. Read without blocking instead and wait for the
    socket here: its reader keeps what it has when it is told there is no more for now.
    """
    stream, socket = environ["wsgi.input"], environ.get(socket_key)
    if socket is None:  # another server (the tests' client): its body is already there
        return _complete(stream.read(length), length)
    deadline = time.monotonic() + seconds
    before = socket.gettimeout()
    socket.setblocking(False)
    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                data = _complete(stream.read(length), length)
                stream.failed = False  # the server gives up a connection whose read has raised; this one is in step
                return data
            left = deadline - time.monotonic()
            if left <= 0 or not _readable(socket, left):
                raise SlowBody
    except OSError as error:
        raise ShortBody from error
    finally:
        with contextlib.suppress(OSError):
            socket.settimeout(before)


def _readable(socket: Any, seconds: float) -> bool:
    poll = select.poll()  # select() fails for file descriptors above 1023
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _complete(data: bytes, length: int) -> bytes:
    if len(data) < length:
        raise ShortBody
    return data
