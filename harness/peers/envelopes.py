"""A Sentry that keeps what it gets: envelopes over HTTP on the loopback address."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli  # type: ignore[import-untyped]


@dataclass
class Envelopes:
    """`environment` is what makes a process report here; `events` are those received, `others` the rest by type."""

    port: int
    events: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {"SENTRY_DSN": f"http://key@127.0.0.1:{self.port}/1"}

    def take(self, envelope: bytes) -> None:
        """Keep the events of an envelope: a header, then for each item its header and its payload, a line each."""
        lines = [json.loads(line) for line in envelope.splitlines()[1:] if line]
        for header, payload in zip(lines[::2], lines[1::2], strict=True):
            into = self.events if header["type"] == "event" else self.others.setdefault(header["type"], [])
            into.append(payload)


@contextmanager
def running_envelopes() -> Iterator[Envelopes]:
    """Listen on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            opened = {"gzip": gzip.decompress, "br": brotli.decompress}.get(self.headers.get("Content-Encoding", ""))
            envelopes.take(opened(body) if opened else body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        envelopes = Envelopes(server.server_port)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield envelopes
        server.shutdown()
