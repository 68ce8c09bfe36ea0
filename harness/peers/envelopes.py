"""A Sentry that keeps what it gets: envelopes over HTTP on the loopback address."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli  # type: ignore[import-untyped]

TOKEN = "sntrys_of-the-harness"
"""What the API is asked with, about the organisation `us`."""


@dataclass
class Envelopes:
    """`environment` is what makes a process report here; `events` are those received, `others` the rest by type."""

    port: int
    events: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    statuses: dict[str, list[str]] = field(default_factory=dict)
    """What an issue's status was set to over the API; each event is an issue of its own, with the event's id."""

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

        def do_GET(self) -> None:
            """https://docs.sentry.io/api/organizations/resolve-an-event-id"""
            event = self._asked(r"/api/0/organizations/us/eventids/(\w{32})/")
            known = any(each["event_id"] == event for each in envelopes.events)
            self._answer({"eventId": event, "groupId": f"i{event}"} if known else None)

        def do_PUT(self) -> None:
            """https://docs.sentry.io/api/events/update-an-issue"""
            issue = self._asked(r"/api/0/organizations/us/issues/i(\w{32})/")
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            envelopes.statuses.setdefault(issue, []).append(said["status"])
            self._answer({"id": issue, **said} if issue else None)

        def _asked(self, path: str) -> str:
            """Of whom it is asked, by whom may ask; "" otherwise."""
            found = re.fullmatch(path, self.path)
            return found[1] if found and self.headers["Authorization"] == f"Bearer {TOKEN}" else ""

        def _answer(self, found: dict[str, Any] | None) -> None:
            content = json.dumps(found or {"detail": "The requested resource does not exist"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        envelopes = Envelopes(server.server_port)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield envelopes
        server.shutdown()
