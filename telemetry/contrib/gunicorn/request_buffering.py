"""How much of a request has arrived on a socket, seen without taking it, and waiting for the rest without a thread."""

import fcntl
import re
import select
import socket
import struct
import termios
from typing import NamedTuple

WHOLE = 65_536
"""Bytes of head and body up to which a request is waited for as a whole; the kernel keeps them meanwhile."""
_HEAD = 4096
"""Bytes looked at first: most requests' whole head."""
_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*(\d{1,12})[ \t]*\r\n", re.IGNORECASE)
_UNKNOWN_LENGTH = re.compile(rb"\r\n(?:Transfer-Encoding:|Expect:|Content-Length:[ \t]*\d{13})", re.IGNORECASE)
_FILE = re.compile(rb"filename(?!=\"\"(?:;|\r\n))", re.IGNORECASE)
"""All that may name a file: browsers send an empty name where none was chosen."""

_TCP_INFO_ACKNOWLEDGED, _TCP_INFO_TO_RECEIVED = 120, 136
"""Offsets in `struct tcp_info` of <linux/tcp.h>: of tcpi_bytes_acked, and of what comes after tcpi_bytes_received."""


class Arrival(NamedTuple):
    """What is there of a request.

    `head`: its first bytes, b"" when they cannot be seen. `needed`: bytes that must be there for it to be whole, 0 when
    it is; more than WHOLE means that a thread has to read it.
    """

    head: bytes
    needed: int


UNSEEN = Arrival(b"", WHOLE + 1)
"""Of a request whose beginning is read already: whether the rest has come cannot be seen."""


def look(sock: socket.socket) -> Arrival:
    """Peek at a request's head and judge what is missing. What cannot be peeked at counts as whole."""
    try:
        head = sock.recv(_HEAD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        end = head.find(b"\r\n\r\n")
        if end < 0 and len(head) == _HEAD:
            head = sock.recv(WHOLE, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            end = head.find(b"\r\n\r\n")
    except (OSError, ValueError):
        return Arrival(b"", 0)
    if not head:
        return Arrival(b"", 0)
    if end < 0:
        return Arrival(head, len(head) + 1)
    fields = head[: end + 2]
    if _UNKNOWN_LENGTH.search(fields):
        return Arrival(head, WHOLE + 1)
    found = _LENGTH.search(fields)
    needed = end + 4 + int(found[1]) if found else 0
    return Arrival(head, needed if needed > WHOLE or needed > waiting(sock) else 0)


def has_file(sock: socket.socket) -> bool:
    """Whether a form of parts that has come whole may carry a file, of whatever length; True if it cannot be seen.

    What is done with a file may take long. A form in which none was chosen is one like any other.
    """
    try:
        return _FILE.search(sock.recv(WHOLE, socket.MSG_PEEK | socket.MSG_DONTWAIT)) is not None
    except OSError:
        return True


def waiting(sock: socket.socket) -> int:
    """Bytes that can be read now."""
    return _bytes(sock, termios.FIONREAD)


def unread(sock: socket.socket) -> int:
    """Bytes sent that the peer has not yet taken."""
    try:
        return _bytes(sock, termios.TIOCOUTQ)
    except OSError:  # only Linux is sure to know
        return 0


class Moved(NamedTuple):
    """Bytes since a connection began: `received` from the peer, and sent ones that it has `acknowledged`."""

    received: int
    acknowledged: int


def moved(sock: socket.socket) -> Moved | None:
    """What the kernel has counted; None where it does not (a Unix socket, a system that is not Linux)."""
    try:
        known = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_TO_RECEIVED)
        acknowledged, received = struct.unpack_from("QQ", known, _TCP_INFO_ACKNOWLEDGED)
    except (OSError, AttributeError, struct.error):
        return None
    return Moved(received, acknowledged)


def has_room(sock: socket.socket) -> bool:
    """Whether an answer can be written without waiting for the peer to read.

    Not the same as how much it has left unread: many small answers take more room than their bytes.
    """
    return _is(sock, select.POLLOUT)


def wake_at(sock: socket.socket, size: int) -> None:
    """Count as readable only when so many bytes are there (or the peer has gone)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def has_hung_up(sock: socket.socket) -> bool:
    """Whether the peer will send no more."""
    return _is(sock, getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR)


def _bytes(sock: socket.socket, which: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(sock, which, b"\0\0\0\0"))[0])


def _is(sock: socket.socket, events: int) -> bool:
    poll = select.poll()
    poll.register(sock, events)
    return bool(poll.poll(0))
