"""Clients that send or read slowly, stop in the middle or never hang up, against two workers of four threads."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlencode, urlsplit

import pytest

from tests.stack import Stack, wait_for

SLOW = 50
FORM = urlencode(
    {"topic": "question", "body": "My tap drips. " * 1500, "name": "Jo", "email": "jo@example.com"}
).encode()
PHOTOS = "multipart/form-data; boundary=part"
PAGE = b"GET /robots.txt HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PART = b'--part\r\nContent-Disposition: form-data; name="photos"; filename="tap.jpg"\r\n\r\n' + bytes(5000)


@pytest.fixture
def connect() -> Iterator[Callable[[Stack], socket.socket]]:
    with ExitStack() as opened:

        def one(site: Stack) -> socket.socket:
            address = urlsplit(site.url)
            return opened.enter_context(socket.create_connection((address.hostname, address.port or 80), timeout=40))

        yield one


def head(length: int, kind: str = "application/x-www-form-urlencoded") -> bytes:
    lines = ["POST /contact/ HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode()


def answered(site: Stack) -> list[int]:
    """Statuses of pages and probes; one that waits for a slow client raises TimeoutError."""
    return [site.get(path, timeout=30)[0] for path in ("/", "/livez", "/readyz", "/services/", "/contact/") * 4]


def posts(site: Stack) -> int:
    return sum(line["method"] == "POST" for line in site.log_events("request_finished"))


def test_it_serves_others_while_slow_clients_send(
    stack: Callable[..., Stack], connect: Callable[[Stack], socket.socket]
) -> None:
    site = stack(workers=2, threads=4)
    slow = [connect(site) for _ in range(SLOW)]
    for number, sock in enumerate(slow):
        # half a head; half a form; half an upload that is too large to be waited for; a page and half a head
        sock.sendall(
            (head(9)[:40], head(1000) + FORM[:500], head(5_000_000, PHOTOS) + PART, PAGE + b"GET /")[number % 4]
        )
    assert answered(site) == [200] * 20
    with connect(site) as sock:  # and who sends a form in pieces is served
        sock.sendall(head(len(FORM)))
        for start in range(0, len(FORM), 9000):
            sock.sendall(FORM[start : start + 9000])
            time.sleep(0.05)
        assert b" 403 " in sock.recv(200)  # read to its end: it has no security cookie
    waiting = slow[1]
    waiting.settimeout(40)
    assert b" 408 " in waiting.recv(200)
    assert waiting.recv(200) == b""


BIG = b"GET /static/admin/js/vendor/jquery/jquery.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BEACON = (
    b"POST /api/telemetry HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Sec-Fetch-Site: same-origin\r\nContent-Length: 2\r\n\r\n{}"
)


@pytest.mark.parametrize(
    ("asked", "clients", "times", "pause"), [(BIG, 12, 100, 0.0), (BEACON, 2, 3000, 0.001)], ids=["file", "beacon"]
)
def test_it_waits_for_nobody_to_read(
    asked: bytes, clients: int, times: int, pause: float, stack: Callable[..., Stack]
) -> None:
    site = stack(workers=2, threads=4)
    with ExitStack() as opened:
        for _ in range(clients):
            sock = opened.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            address = urlsplit(site.url)
            sock.connect((address.hostname, address.port))
            sock.settimeout(2)
            with suppress(OSError):  # it was hung up on, or the server reads no more
                for _ in range(times):
                    sock.sendall(asked)
                    time.sleep(pause)
        assert answered(site) == [200] * 20


def test_it_processes_no_form_that_was_cut_off(
    stack: Callable[..., Stack], connect: Callable[[Stack], socket.socket]
) -> None:
    site = stack(workers=1, threads=2)
    for _ in range(4):
        sock = connect(site)
        sock.sendall(head(len(FORM)) + FORM[: len(FORM) // 2])
        sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert sock.recv(200) == b""
    sock = connect(site)
    sock.sendall(head(len(FORM)) + FORM)
    sock.shutdown(socket.SHUT_WR)  # all was said
    assert b" 403 " in sock.recv(200)
    assert wait_for("its line", lambda: posts(site)) == 1


def test_it_waits_for_nobody_to_hang_up(stack: Callable[..., Stack], connect: Callable[[Stack], socket.socket]) -> None:
    site = stack(workers=1, threads=4)
    began = time.monotonic()
    for _ in range(30):
        sock = connect(site)
        sock.sendall(b"GET /robots.txt HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b" 200 " in sock.recv(200)
    assert time.monotonic() - began < 30  # gunicorn's own way to close takes 60
