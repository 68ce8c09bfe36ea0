"""A peer's address that can be made to refuse, to hang or to babble, and to work again."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Fault = Literal["well", "refuses", "hangs", "babbles"]
GARBAGE = b"\x00\xff\xfe not what you asked for \x80\r\n" * 40


class Front:
    """Stands before a server on the loopback address; `port` stays the same through every fault."""

    def __init__(self, backend: int) -> None:
        self._backend, self._fault = backend, "well"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()

    def turn(self, fault: Fault) -> None:
        """Change the fault; connections made in another one are closed."""
        self._fault = fault
        if fault == "refuses":
            self._hang_up_listener()
        elif self._listener is None:
            self._listen()
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    @contextmanager
    def being(self, fault: Fault) -> Iterator[None]:
        self.turn(fault)
        try:
            yield
        finally:
            self.turn("well")

    def close(self) -> None:
        self._backend = 0
        self.turn("refuses")

    def _hang_up_listener(self) -> None:
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection = listener.accept()[0]
                self._keep(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._fault == "babbles":
                connection.sendall(GARBAGE)
                connection.settimeout(2)
                connection.recv(65536)
                connection.close()
            elif self._fault == "well":
                behind = socket.create_connection(("127.0.0.1", self._backend), timeout=10)
                behind.settimeout(None)
                self._keep(behind)
                threading.Thread(target=_pump, args=(behind, connection), daemon=True).start()
                _pump(connection, behind)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for side in (source, target):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
