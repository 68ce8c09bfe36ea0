"""What takes traces, log lines and error reports during a benchmark: a process of its own behind a real socket.

`python -m benchmarks.sink` prints its port and then answers OTLP over http/protobuf and Sentry's envelopes.
"""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import urlopen


@dataclass(frozen=True)
class Sink:
    """A sink that listens on this port of the loopback address."""

    port: int

    @property
    def otlp(self) -> dict[str, str]:
        """The environment that sends traces here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "OTEL_BSP_SCHEDULE_DELAY": "1000"}

    @property
    def logs(self) -> dict[str, str]:
        """The environment that sends log lines here."""
        return {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"http://127.0.0.1:{self.port}/v1/logs"}

    @property
    def sentry(self) -> dict[str, str]:
        """The environment that sends errors here."""
        return {"SENTRY_DSN": f"http://key@127.0.0.1:{self.port}/1"}

    @property
    def spans(self) -> int:
        """How many spans have come in so far."""
        with urlopen(f"http://127.0.0.1:{self.port}/") as answer:
            return int(answer.read())


@contextmanager
def running_sink() -> Iterator[Sink]:
    """A sink until the block ends."""
    process = subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Sink(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal spans
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sent = ExportTraceServiceRequest.FromString(body)
                spans += sum(len(scope.spans) for resource in sent.resource_spans for scope in resource.scope_spans)
            self._answer(b"")

        def do_GET(self) -> None:
            self._answer(str(spans).encode())

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
