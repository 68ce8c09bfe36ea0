"""gunicorn's gthread worker with a lane for health: probes are answered while every thread waits for the database.

A pool of threads that all wait 2 s for a connection makes whoever queues behind them wait for as long as the queue is;
a probe that times out there has the process killed although it would have recovered. So requests for the health paths
get two threads of their own. The path is read by peeking at the socket, which needs the request's first bytes: a new
connection therefore waits for them in the worker's poller and not, for up to 5 s, in a thread.
"""

import re
import selectors
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, ThreadWorker

from telemetry.context import PROBES

THREADS = 2
_HEALTH = re.compile(rb"(?:GET|HEAD) (?:%s)[ ?]" % "|".join(PROBES).encode())
_HEAD = 4096
"""Bytes looked at. The whole head must be there, so that a slow sender cannot hold a thread of the lane."""


class LanedWorker(ThreadWorker):
    """What `worker_class` of gunicorn.conf.py names."""

    def init_process(self) -> None:
        self.lane = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="health")
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Wait for data, then submit to the lane or the pool."""
        if not conn.initialized and not conn.data_ready:
            self._await_data(conn)
            return
        threads = self.lane if _wants_health(conn.sock) else self.tpool
        future = threads.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

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


def _wants_health(sock: socket.socket) -> bool:
    try:
        head = sock.recv(_HEAD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (OSError, ValueError):  # gone, or TLS, which knows no peeking
        return False
    return _HEALTH.match(head) is not None and b"\r\n\r\n" in head
