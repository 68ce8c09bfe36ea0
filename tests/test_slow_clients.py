"""Clients that send or read slowly, stop in the middle or never hang up, against two workers of four threads."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest

from harness.stack import Stack, wait_for

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


def head(length: int, kind: str = "application/x-www-form-urlencoded", more: tuple[str, ...] = ()) -> bytes:
    lines = ["POST /contact/ HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def permission(site: Stack) -> tuple[str, str]:
    """The headers with which a body is read: without them the answer is 403 before that."""
    with urlopen(f"{site.url}/contact/", timeout=10) as form:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.read().decode())
        assert token
        return f"Cookie: {form.headers['Set-Cookie'].partition(';')[0]}", f"X-CSRFToken: {token[1]}"


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
    assert b" 408 " in waiting.recv(2000)
    assert waiting.recv(200) == b""


def trickle(sock: socket.socket, stop: threading.Event) -> None:
    with suppress(OSError):
        while not stop.wait(1):
            sock.sendall(b"x")


def test_it_takes_an_upload_while_others_send_theirs_a_byte_at_a_time(
    stack: Callable[..., Stack], connect: Callable[[Stack], socket.socket]
) -> None:
    site = stack(workers=1, threads=1)  # two threads for uploads
    stop, allowed = threading.Event(), permission(site)
    slow = [connect(site) for _ in range(6)]
    for sock in slow:
        sock.sendall(head(50_000_000, PHOTOS, allowed) + PART)
        threading.Thread(target=trickle, args=(sock, stop), daemon=True).start()
    with connect(site) as sock:  # a form for photos, in which none was chosen, waits for none of them
        empty = PART.partition(b"tap.jpg")[0] + b'"\r\n\r\n\r\n--part--\r\n'
        sock.settimeout(5)
        sock.sendall(head(len(empty), PHOTOS, allowed) + empty)
        assert b" 422 " in sock.recv(200)
    steady = connect(site)
    length, began = 10_000_000, time.monotonic()
    try:
        steady.sendall(head(length + len(PART), PHOTOS, allowed) + PART)
        for _ in range(length // 100_000):
            steady.sendall(bytes(100_000))
        assert b" 422 " in steady.recv(200)  # read to its end
        assert time.monotonic() - began < 25
        slow[0].settimeout(20)
        answer = slow[0].recv(9000)
        assert b" 408 " in answer
        assert b"Connection: close" in answer
    finally:
        stop.set()


def test_it_gives_up_who_reads_a_byte_at_a_time(
    stack: Callable[..., Stack], connect: Callable[[Stack], socket.socket]
) -> None:
    site = stack(workers=1, threads=2, env={"DJANGO_SETTINGS_MODULE": "tests.pool_settings"})
    with ExitStack() as opened:
        for _ in range(4):
            sock = opened.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            address = urlsplit(site.url)
            sock.connect((address.hostname, address.port))
            sock.sendall(b"GET /large/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            sock.settimeout(0.2)
            threading.Thread(target=sip, args=(sock,), daemon=True).start()
        assert site.get("/innocent/", timeout=40)[0] == 200


def sip(sock: socket.socket) -> None:
    """Read a few bytes again and again, so that some always move."""
    with suppress(OSError):
        while True:
            with suppress(TimeoutError):
                if not sock.recv(500):
                    return
            time.sleep(1)


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


def test_it_processes_no_upload_that_was_cut_off(
    stack: Callable[..., Stack], connect: Callable[[Stack], socket.socket]
) -> None:
    site = stack(workers=1, threads=2)
    sock = connect(site)
    sock.sendall(head(500_000, PHOTOS, permission(site)) + PART)
    sock.shutdown(socket.SHUT_WR)
    answer = sock.recv(200)
    assert b" 408 " in answer
    assert b"Connection: close" in answer


@pytest.mark.parametrize(("path", "length", "pause"), [("/contact/", 60_000_000, 0.0), ("/", 3_000_000, 0.1)])
def test_it_lets_the_client_read_that_it_sent_too_much(
    path: str, length: int, pause: float, stack: Callable[..., Stack], connect: Callable[[Stack], socket.socket]
) -> None:
    """Also one that reads only after it has sent everything; a reset connection would leave it nothing to read."""
    site = stack(workers=1, threads=2)
    sock = connect(site)
    sock.sendall(head(length, PHOTOS).replace(b"/contact/", path.encode()))
    for _ in range(length // 100_000):
        sock.sendall(bytes(100_000))
        time.sleep(pause)
    answer = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert answer.endswith(b"</html>\n")
    assert posts(site) == 1


def test_it_waits_for_nobody_to_hang_up(stack: Callable[..., Stack], connect: Callable[[Stack], socket.socket]) -> None:
    site = stack(workers=1, threads=4)
    began = time.monotonic()
    for _ in range(30):
        sock = connect(site)
        sock.sendall(b"GET /robots.txt HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b" 200 " in sock.recv(200)
    assert time.monotonic() - began < 30  # gunicorn's own way to close takes 60
