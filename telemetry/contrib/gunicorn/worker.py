"""gunicorn's gthread worker whose threads wait for no client, with threads apart for health and a queue for beacons.

A pool of threads that all wait 2 s for a connection makes whoever queues behind them wait for as long as the queue is;
a probe that times out there has the process killed although it would have recovered. So requests for the health paths
get two threads of their own.

Beacons get no thread: they wait for nobody, and nobody waits for them. The poller's own thread takes one in when no
page is being worked on, or after BEACON_WAIT. In a thread a beacon costs the pages of its process twice what it takes
itself, because the two pass the GIL to and fro (`make bench NAME=ingest`: the page's p95 ×1.4 instead of ×1.05).

Nor may clients that send slowly, or read slowly, or not at all, hold the threads: eight of them would be the end of
every page. A request gets a thread when the whole of it has come, which the worker's poller waits for, for so long and
no longer. One that cannot be waited for (photos are too large; of what follows another request a part is read already)
is read by a thread of a third pool: those threads slow senders can hold, and no others. Whoever sends or reads at less
than a least rate while a thread waits for him is given up (pace.py). The kernel has room for a whole answer, and who
leaves several unread gets no more.
"""

import math
import os
import re
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, TConn, ThreadWorker

from telemetry.conf import conf
from telemetry.contrib.gunicorn import request_buffering
from telemetry.contrib.gunicorn.pace import READING, Pace
from telemetry.observe import queueing
from telemetry.rum import body

THREADS = 2
"""Of the threads for health."""
TIMEOUT = 10.0
"""Seconds for a request of at most request_buffering.WHOLE bytes to arrive, from its first byte."""
BEACON_WAIT = 0.1
"""Seconds a beacon lets pages go first."""
ANSWER = 512 * 1024
"""Bytes of answers that the kernel keeps for a client that reads slowly: more than any page or script has. Linux takes
no more than net.core.wmem_max (docs/deploy.md)."""
UNREAD = 64 * 1024
"""Bytes a client may have left unread when its next request comes."""
STALLED = 10
"""Seconds that a thread waits for a client to read anything of a larger answer."""
LINGER = 2.0
"""Seconds for a client to close its side of a connection that is over, or for more to come of what it sends."""
LONGEST_LINGER = 30.0
"""Seconds for it to come to an end with that, and to read the answer."""
_PARTS = re.compile(rb"\r\nContent-Type:[ \t]*multipart/", re.IGNORECASE)

body.socket_key = "gunicorn.socket"
# What frameworks read at once. gunicorn asks for a megabyte and copies what is left of it with every such piece, under
# the GIL: an upload of 23 MB then costs 140 ms, for which the pages of its process wait.
SocketUnreader.max_body_chunk = 64 * 1024


class LanedWorker(ThreadWorker):
    """What `worker_class` of gunicorn.conf.py names."""

    too_slow = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    def init_process(self) -> None:
        self.health = ThreadPoolExecutor(THREADS, thread_name_prefix="health")
        self.uploads = ThreadPoolExecutor(2 * self.cfg.threads, thread_name_prefix="uploads")
        self.arriving: dict[Any, float] = {}  # connections of whose request a part is there, and until when it may take
        self.handling: dict[Any, float] = {}  # connections that threads have, and the received bytes that make it whole
        self.pace = Pace()
        self.closing: dict[Any, tuple[float, float]] = {}  # until when to say something, and until when to end
        self.beacons = deque[tuple[Any, float]]()  # connections with one to take in, and until when it may wait
        self.working = 0  # requests that threads have
        for listener in self.sockets:  # what connects inherits it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ANSWER)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", STALLED, 0))
        super().init_process()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        from telemetry.serve import probes  # where they are is known now that the host's settings and URLs are

        health = {*probes.health(), *filter(None, conf.health_paths.split(","))}
        self.is_health = _request("GET|HEAD", health).match
        self.is_beacon = _request("POST", probes.beacons()).match
        self.wsgi = _closing_unread(self.wsgi)  # type: ignore[has-type]  # gunicorn has no types

    def set_accept_enabled(self, enabled: bool) -> None:
        """A worker that stops takes who is already waiting and closes the door: a proxy then asks another node.

        gunicorn's own keeps it open until the last answer is given, for connections that nobody will accept.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            with suppress(OSError, AttributeError):  # until there is nobody left, or it is closed already
                while True:
                    client, address = listener.accept()
                    self.nr_conns += 1
                    self.enqueue_req(TConn(self.cfg, client, address, listener.getsockname()))
            listener.close()

    def enqueue_req(self, conn: Any) -> None:
        """Wait for data, then for the whole request, then submit it to the threads it belongs to."""
        if not conn.initialized and not conn.data_ready:
            self._await_data(conn)
            return
        if request_buffering.unread(conn.sock) > UNREAD or not request_buffering.has_room(conn.sock):
            self.arriving.pop(conn, None)
            self.nr_conns -= 1
            type(conn).close(conn)
            return
        if conn.parser is not None and conn.parser.unreader.buf.getvalue():
            arrival = request_buffering.UNSEEN
        else:
            arrival = request_buffering.Arrival(b"", 0) if self.cfg.is_ssl else request_buffering.look(conn.sock)
        if 0 < arrival.needed <= request_buffering.WHOLE:
            self._await_rest(conn, arrival.needed)
            return
        if arrival.needed or (_PARTS.search(arrival.head) and request_buffering.has_file(conn.sock)):
            self._submit(self.uploads, conn, arrival.needed)
        elif self.is_beacon(arrival.head):
            self.arriving.pop(conn, None)
            self.beacons.append((conn, time.monotonic() + BEACON_WAIT))
        else:
            self._submit(self.health if self.is_health(arrival.head) else self.tpool, conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One round of the worker's loop: what has come, then one beacon, if it is its turn."""
        super().wait_for_and_dispatch_events(min(timeout, self._next_beacon()))
        if self._next_beacon() <= 0:
            conn, _ = self.beacons.popleft()
            done = Future[Any]()
            try:
                done.set_result(self.handle(conn))
            except Exception as error:
                done.set_exception(error)
            self._finish(conn, done)

    def _next_beacon(self) -> float:
        """Seconds until a beacon's turn comes."""
        if not self.beacons:
            return math.inf
        return max(0.0, self.beacons[0][1] - time.monotonic()) if self.working else 0.0

    def _submit(self, threads: ThreadPoolExecutor, conn: Any, to_come: int = 0) -> None:
        self.arriving.pop(conn, None)
        self.handling[conn] = _whole_at(conn, to_come) if to_come else 0
        if threads is self.tpool:
            queueing.arrived(conn)
        future = threads.submit(self.handle, conn)
        self.working += 1
        future.add_done_callback(lambda done: self.method_queue.defer(self._on_done, conn, done))

    def handle(self, conn: Any) -> Any:
        """Serve the request that has come; what it waited for a thread is part of what its client waited."""
        queueing.started(conn)
        return super().handle(conn)

    def murder_pending(self) -> None:
        """Give up on connections that say nothing, and on requests that do not come to their end."""
        super().murder_pending()
        for conn in _due(self.arriving):
            self._hang_up(conn, self.too_slow)
        now = time.monotonic()
        for conn in [conn for conn, until in self.closing.items() if min(until) < now]:
            self._end(conn)
        for conn, doing in self.pace.too_slow(self.handling.items()):
            with suppress(OSError):  # its thread finds the request cut off, and says so; or writes to nobody
                conn.sock.shutdown(socket.SHUT_RDWR if doing is READING else socket.SHUT_RD)

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping worker does not wait longer for connections that never said a word (browsers open them ahead)."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _await_data(self, conn: Any) -> None:
        # As the base class does with a connection whose data did not come within a thread's time-out.
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + DEFAULT_WORKER_DATA_TIMEOUT
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _await_rest(self, conn: Any, needed: int) -> None:
        conn.sock.setblocking(False)
        self.arriving.setdefault(conn, time.monotonic() + TIMEOUT)
        request_buffering.wake_at(conn.sock, needed)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_more, conn, needed))

    def _on_more(self, conn: Any, needed: int, sock: socket.socket) -> None:
        """More of the request came, or its sender went: half a form asks for nothing."""
        request_buffering.wake_at(sock, 1)
        come = request_buffering.waiting(sock) >= needed
        if not come and request_buffering.has_hung_up(sock):
            self._hang_up(conn)
            return
        self.poller.unregister(sock)
        conn.data_ready = True
        if come:
            self.enqueue_req(conn)
        else:  # woken too early: a kernel short of memory, or one that does not know this option
            self._submit(self.uploads, conn, needed)

    def _hang_up(self, conn: Any, words: bytes = b"") -> None:
        del self.arriving[conn]
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        with suppress(OSError):
            conn.sock.send(words)
        self._close(conn, graceful=bool(words))

    def _on_done(self, conn: Any, done: Any) -> None:
        self.working -= 1
        self._finish(conn, done)

    def _finish(self, conn: Any, done: Any) -> None:
        self.handling.pop(conn, None)
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
            self.nr_conns += 1  # it has a descriptor until it is closed
            now = time.monotonic()
            self.closing[conn] = (now + LINGER, now + LONGEST_LINGER)

    def _drain(self, conn: Any, sock: socket.socket) -> None:
        """What still comes is thrown away: closing on it would reset the connection, and with it our last bytes."""
        try:
            gone = not sock.recv(request_buffering.WHOLE)
            self.closing[conn] = (time.monotonic() + LINGER, self.closing[conn][1])
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self._end(conn)

    def _end(self, conn: Any) -> None:
        del self.closing[conn]
        self.nr_conns -= 1
        self.poller.unregister(conn.sock)
        type(conn).close(conn)


def _request(methods: str, paths: Iterable[str]) -> re.Pattern[bytes]:
    """The beginning of a request for one of the paths, also below the prefix that the server takes off."""
    prefix = re.escape(os.environ.get("SCRIPT_NAME", "").rstrip("/"))
    return re.compile(rf"(?:{methods}) (?:{prefix})?(?:{'|'.join(map(re.escape, paths))})[ ?]".encode())


def _whole_at(conn: Any, to_come: int) -> float:
    """The count of received bytes at which the request is whole; unknown, so never, when its length is."""
    moved = request_buffering.moved(conn.sock)
    if moved is None or to_come == request_buffering.UNSEEN.needed:
        return math.inf
    return moved.received - request_buffering.waiting(conn.sock) + to_come


def _closing_unread(application: Callable[..., Any]) -> Callable[..., Any]:
    """Say `Connection: close` with an answer given before the rest of a long request came: nobody will read that."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        def start(*given: Any) -> Any:
            if getattr(getattr(environ["wsgi.input"], "reader", None), "length", 0) > request_buffering.WHOLE:
                start_response.__self__.force_close()
            return start_response(*given)

        return application(environ, start)

    return answer


def _due(deadlines: dict[Any, float]) -> list[Any]:
    now = time.monotonic()
    return [conn for conn, deadline in deadlines.items() if deadline < now]
