"""Metrics for whoever scrapes them: on a port of their own, or on the public one for holders of the token."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from telemetry.conf import conf
from telemetry.logger import get_logger
from telemetry.metrics import multiprocess

log = get_logger("telemetry.serve.exposition")
RETRY = 1.0  # seconds between attempts to get a port that is taken, e.g. by the arbiter this one replaces


def render(accept: str = "") -> tuple[bytes, str]:
    """Every metric of this process, or of all workers of a server, and the type of that content.

    `accept` is the scraper's header: OpenMetrics, with exemplars, for who asks for it, else Prometheus' text format.
    """
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector

    from telemetry.metrics.exemplars import ExemplarCollector

    encode, content_type = choose_encoder(accept)
    path = multiprocess.directory()
    if path is None:
        return encode(REGISTRY), content_type
    registry = CollectorRegistry()
    open_metrics = content_type.startswith("application/openmetrics-text")
    (ExemplarCollector if open_metrics else MultiProcessCollector)(registry, str(path))
    with multiprocess.lock(path, timeout=2.0):
        return encode(registry), content_type


def prepare() -> None:
    """Import what binding and rendering need: a fork in the middle of that would leave the child with import locks
    that nobody releases."""
    import encodings.idna  # noqa: F401

    import prometheus_client.multiprocess  # noqa: F401

    import telemetry.metrics.exemplars  # noqa: F401


@never_cache
@gzip_page
@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """`/metrics` on the public port: only with `Authorization: Bearer $METRICS_TOKEN`, otherwise it does not exist."""
    given = request.headers.get("Authorization", "")
    if not conf.enabled or not conf.metrics_token or not constant_time_compare(given, f"Bearer {conf.metrics_token}"):
        raise Http404
    body, content_type = render(request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type, headers={"Vary": "Accept"})


class _Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self._answer(404, b"The metrics are at /metrics.\n", "text/plain; charset=utf-8")
            return
        try:
            body, content_type = render(self.headers.get("Accept", ""))
        except Exception:
            log.exception("metrics_render_failed")
            self._answer(500, b"", "text/plain; charset=utf-8")
            return
        self._answer(200, body, content_type)

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if body and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Vary", "Accept, Accept-Encoding")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """A scraper that hung up is its own affair."""


class MetricsServer:
    """Serves `render()` from a thread of this process; keeps trying while the port is taken."""

    def __init__(self, host: str, port: int) -> None:
        self._address, self._server = (host, port), None  # type: tuple[str, int], _Server | None
        self._stopping, self._told = threading.Event(), False
        self._thread = threading.Thread(target=self._serve, name="metrics-server", daemon=True)

    def start(self) -> "MetricsServer":
        """Bind at once where the port is free."""
        prepare()
        self._bind()
        self._thread.start()
        return self

    def _bind(self) -> bool:
        try:
            self._server = _Server(self._address, _Handler)
        except (OSError, UnicodeError) as error:  # UnicodeError: a host's name that is none
            if not self._told:
                reason = getattr(error, "strerror", None) or type(error).__name__
                log.warning("metrics_port_unavailable", port=self._address[1], reason=reason)
            self._told = True
            return False
        log.info("metrics_served", address=self._address[0], port=self._address[1])
        return True

    def _serve(self) -> None:
        while self._server is None and not self._stopping.is_set() and not self._bind():
            self._stopping.wait(RETRY)
        if self._server is not None:
            self._server.serve_forever(poll_interval=0.5)

    def forget(self) -> None:
        """In a forked child: give the inherited socket back, so that only the parent answers on it."""
        if self._server is not None:
            self._server.socket.close()

    def stop(self) -> None:
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
