"""gunicorn's gthread worker whose threads wait for no client, and with lanes for health and for beacons.

A pool of threads that all wait 2 s for a connection makes whoever queues behind them wait for as long as the queue is;
a probe that times out there has the process killed although it would have recovered. So requests for the health paths
get two threads of their own. Beacons, which wait for nobody and come in crowds, get one: however many there are, they
take none of those that answer pages.

Nor may clients that send slowly, or not at all, hold the threads: eight of them would be the end of every page. A
request gets a thread when the whole of it has come, which the worker's poller waits for, for so long and no longer. One
that is too large to wait for (photos) is read by a thread of a third, small pool: those threads slow senders can hold,
and no others.
"""

import re
import selectors
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, TConn, ThreadWorker

from telemetry import arrivals
from telemetry.context import BEACONS, PROBES

THREADS = 2
"""Of the lane for health."""
PATIENCE = 10.0
"""Seconds for a request of at most arrivals.WHOLE bytes to arrive, from its first byte."""
UPLOADING = 30.0
"""Seconds for a larger one to arrive, and beside them its size at SLOWEST."""
SLOWEST = 25_000
"""Bytes a second that the slowest sender of a large request must manage."""
LINGER = 2.0
"""Seconds for a client to close its side of a connection that is over."""
_LARGEST = 64 * 1024 * 1024
_HEALTH = re.compile(rb"(?:GET|HEAD) (?:%s)[ ?]" % "|".join(PROBES).encode())
_BEACON = re.compile(rb"POST (?:%s)[ ?]" % "|".join(BEACONS).encode())
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class LanedWorker(ThreadWorker):
    """What `worker_class` of gunicorn.conf.py names."""

    def init_process(self) -> None:
        self.health = ThreadPoolExecutor(THREADS, thread_name_prefix="health")
        self.beacons = ThreadPoolExecutor(1, thread_name_prefix="beacons")
        self.uploads = ThreadPoolExecutor(max(1, self.cfg.threads // 2), thread_name_prefix="uploads")
        self.arriving: dict[Any, float] = {}  # connections of whose request a part is there, and until when it may take
        self.uploading: dict[Any, float] = {}
        self.closing: dict[Any, float] = {}
        super().init_process()

    def set_accept_enabled(self, enabled: bool) -> None:
        """A worker that stops takes who is already waiting and closes the door: a proxy then asks another node.

        gunicorn's own keeps it open until the last answer is given, for connections that nobody will accept.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            with suppress(OSError):  # until there is nobody left
                while True:
                    client, address = listener.accept()
                    self.nr_conns += 1
                    self.enqueue_req(TConn(self.cfg, client, address, listener.getsockname()))
            listener.close()

    def enqueue_req(self, conn: Any) -> None:
        """Wait for data, then for the whole request, then submit it to the lane it belongs to."""
        if not conn.initialized and not conn.data_ready:
            self._await_data(conn)
            return
        read_ahead = conn.parser is not None and conn.parser.unreader.buf.getvalue()
        arrival = arrivals.Arrival(b"", 0) if read_ahead or self.cfg.is_ssl else arrivals.look(conn.sock)
        if 0 < arrival.needed <= arrivals.WHOLE:
            self._await_rest(conn, arrival.needed)
            return
        if arrival.needed:
            self._submit(self.uploads, conn, arrival.needed)
        else:
            self._submit(self._lane(arrival.head), conn)

    def _lane(self, head: bytes) -> ThreadPoolExecutor:
        if _HEALTH.match(head):
            return self.health
        return self.beacons if _BEACON.match(head) else self.tpool

    def _submit(self, threads: ThreadPoolExecutor, conn: Any, to_come: int = 0) -> None:
        self.arriving.pop(conn, None)
        if to_come:
            self.uploading[conn] = time.monotonic() + UPLOADING + min(to_come, _LARGEST) / SLOWEST
        future = threads.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self._finish, conn, done))

    def murder_pending(self) -> None:
        """Give up on connections that say nothing, and on requests that do not come to their end."""
        super().murder_pending()
        for conn in _due(self.arriving):
            self._hang_up(conn, _TOO_SLOW)
        for conn in _due(self.closing):
            self._end(conn)
        for conn in _due(self.uploading):
            del self.uploading[conn]
            with suppress(OSError):  # its thread finds the end of the request, and answers what it made of it
                conn.sock.shutdown(socket.SHUT_RD)

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping worker does not wait longer for connections that never said a word (browsers open them ahead)."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _await_data(self, conn: Any) -> None:
        # As the base class does with a connection whose data did not come within a thread's patience.
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + DEFAULT_WORKER_DATA_TIMEOUT
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _await_rest(self, conn: Any, needed: int) -> None:
        conn.sock.setblocking(False)
        self.arriving.setdefault(conn, time.monotonic() + PATIENCE)
        arrivals.wake_at(conn.sock, needed)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_more, conn, needed))

    def _on_more(self, conn: Any, needed: int, sock: socket.socket) -> None:
        """More of the request came, or its sender went: half a form is nobody's wish."""
        arrivals.wake_at(sock, 1)
        come = arrivals.waiting(sock) >= needed
        if not come and arrivals.has_hung_up(sock):
            self._hang_up(conn)
            return
        self.poller.unregister(sock)
        conn.data_ready = True
        if come:
            self.enqueue_req(conn)
        else:  # woken too early: a kernel short of memory, or one that knows no such wish
            self._submit(self.uploads, conn, needed)

    def _hang_up(self, conn: Any, words: bytes = b"") -> None:
        del self.arriving[conn]
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        with suppress(OSError):
            conn.sock.send(words)
        self._close(conn, graceful=bool(words))

    def _finish(self, conn: Any, done: Any) -> None:
        self.uploading.pop(conn, None)
        conn.close = partial(self._close, conn)
        self.finish_request(conn, done)

    def _close(self, conn: Any, graceful: bool = False) -> None:
        """gunicorn's graceful close, which waits for the client, would wait in the one thread that serves everybody."""
        if not graceful or self.cfg.is_ssl:
            type(conn).close(conn, graceful)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
        except (OSError, ValueError):
            type(conn).close(conn)
        else:
            self.closing[conn] = time.monotonic() + LINGER

    def _drain(self, conn: Any, sock: socket.socket) -> None:
        """What still comes is thrown away: closing on it would reset the connection, and with it our last bytes."""
        try:
            gone = not sock.recv(arrivals.WHOLE)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self._end(conn)

    def _end(self, conn: Any) -> None:
        del self.closing[conn]
        self.poller.unregister(conn.sock)
        type(conn).close(conn)


def _due(deadlines: dict[Any, float]) -> list[Any]:
    now = time.monotonic()
    return [conn for conn, deadline in deadlines.items() if deadline < now]
