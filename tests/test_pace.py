"""Who is too slow, judged on real connections; the clock alone is the test's."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from harness.stack import wait_for
from telemetry.contrib.gunicorn import pace, request_buffering

UNKNOWN = float("inf")
ENOUGH = int(pace.SLOWEST * pace.WINDOW)


@dataclass(eq=False)
class Connection:
    """As gunicorn's."""

    sock: socket.socket


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Connection]]:
    """A client's socket, and the server's connection for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, Connection(server)


def arrive(client: socket.socket, conn: Connection, size: int, *, read: bool) -> None:
    """Send so many bytes, and have the server read them or leave them."""
    before = request_buffering.moved(conn.sock)
    assert before
    for start in range(0, size, 10_000):
        piece = min(10_000, size - start)
        client.sendall(bytes(piece))
        while read and piece:
            piece -= len(conn.sock.recv(piece))
    wait_for("them", lambda: request_buffering.moved(conn.sock).received >= before.received + size)  # type: ignore[union-attr]  # as above


def test_it_lets_a_steady_sender_take_as_long_as_it_takes(clock: Clock, ends: tuple[socket.socket, Connection]) -> None:
    client, conn = ends
    judge = pace.Pace()
    for _ in range(30):
        assert judge.too_slow([(conn, UNKNOWN)]) == []
        arrive(client, conn, ENOUGH, read=True)
        clock.now += pace.WINDOW
    arrive(client, conn, ENOUGH // 2, read=True)
    judge.too_slow([(conn, UNKNOWN)])
    clock.now += pace.WINDOW
    assert judge.too_slow([(conn, UNKNOWN)]) == [(conn, pace.SENDING)]


def test_it_charges_nobody_for_what_waits_for_us(clock: Clock, ends: tuple[socket.socket, Connection]) -> None:
    client, conn = ends
    judge = pace.Pace()
    arrive(client, conn, pace.BACKLOG, read=False)
    for _ in range(5):
        assert judge.too_slow([(conn, UNKNOWN)]) == []
        clock.now += pace.WINDOW


def test_it_charges_nobody_for_the_work_on_a_whole_request(
    clock: Clock, ends: tuple[socket.socket, Connection]
) -> None:
    client, conn = ends
    judge = pace.Pace()
    arrive(client, conn, 1000, read=True)
    for _ in range(5):
        assert judge.too_slow([(conn, 1000)]) == []
        clock.now += pace.WINDOW


def test_it_sees_who_does_not_read_though_it_sends(clock: Clock, ends: tuple[socket.socket, Connection]) -> None:
    client, conn = ends
    judge = pace.Pace()
    conn.sock.setblocking(False)

    def step() -> list[tuple[Connection, str]]:
        with suppress(BlockingIOError):
            while True:
                conn.sock.send(bytes(10_000))
        arrive(client, conn, 1000, read=False)
        clock.now += pace.WINDOW
        return judge.too_slow([(conn, 0)])

    # The kernel may still be taking in what was sent; after that nothing moves.
    assert wait_for("its turn", step) == [(conn, pace.READING)]
