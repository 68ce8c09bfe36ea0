"""Clients that send or read too slowly while a thread waits for them: judged by rate, never by how long it takes."""

import time
from collections.abc import Iterable
from typing import Any

from telemetry.contrib.gunicorn import request_buffering

SLOWEST = 10_000
"""Bytes a second, on average over WINDOW, that a client must send of a request or take of an answer."""
WINDOW = 10.0
"""Seconds."""
BACKLOG = 32 * 1024
"""Bytes that wait to be read by us: a client that has sent so much is not the one being waited for."""

SENDING, READING = "sending", "reading"


class Pace:
    """What each connection moved since its window began."""

    def __init__(self) -> None:
        self._windows: dict[Any, tuple[str, float, int]] = {}
        """Connection → what is waited for, since when, and its bytes until then."""
        self._next = 0.0

    def too_slow(self, waiting_for: Iterable[tuple[Any, float]]) -> list[tuple[Any, str]]:
        """Who moved too little in a whole window, and whether SENDING or READING.

        `waiting_for`: connections that threads have or will have, each with the count of received bytes at which its
        request is whole. Looks once a second. The kernel counts the bytes; where it does not, nobody is too slow.
        """
        now = time.monotonic()
        if now < self._next:
            return []
        self._next = now + 1
        before, self._windows = self._windows, {}
        late = []
        for conn, whole in waiting_for:
            moved = request_buffering.moved(conn.sock)
            if moved is None:
                continue
            if not request_buffering.has_room(conn.sock):
                doing, count = READING, moved.acknowledged
            elif moved.received < whole and request_buffering.waiting(conn.sock) < BACKLOG:
                doing, count = SENDING, moved.received
            else:
                continue
            was, since, counted = before.get(conn, (doing, now, count))
            if was != doing or now - since >= WINDOW:
                if was == doing and count - counted < SLOWEST * WINDOW:
                    late.append((conn, doing))
                since, counted = now, count
            self._windows[conn] = (doing, since, counted)
        return late
