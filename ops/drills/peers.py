"""What the site talks to over the network, in a form that can be taken away: it refuses, or falls silent."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server, socket

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from harness.stack import free_port


class Mail:
    """A mail server. Stopped, it refuses connections; silent, it takes them and says nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self.seconds = 0.0
        """That it takes for each e-mail."""
        self._controller: Controller | None = None
        self._silence: socket | None = None

    def start(self) -> None:
        if self._silence is not None:
            self._silence.close()
            self._silence = None
        self._controller = Controller(_Takes(self), hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
        self._controller = None

    def fall_silent(self) -> None:
        self.stop()
        self._silence = create_server(("127.0.0.1", self.port), backlog=256)


class _Takes:
    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        await asyncio.sleep(self._mail.seconds)
        return "250 OK"


class Peer:
    """An HTTP service that answers 200 and `{}` to everything; while `silent`, it takes requests and never answers."""

    def __init__(self) -> None:
        self.port = free_port()
        self.silent = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                while peer.silent.is_set():
                    threading.Event().wait(0.5)
                with suppress(OSError):
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")

            do_GET = do_POST

            def log_message(self, *_args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self.silent.clear()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None


@contextmanager
def black_hole() -> Iterator[int]:
    """The port of a service that takes connections and never answers."""
    with create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield listener.getsockname()[1]
