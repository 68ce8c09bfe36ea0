"""One request, observed: its id, its route, its line, what it costs in series."""

import logging
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory
from prometheus_client import REGISTRY

from telemetry import traces
from telemetry.context import Observation, current, in_flight, observing
from telemetry.metrics import catalogue, containment
from telemetry.middleware import ObservingMiddleware
from telemetry.observe import outgoing_http
from telemetry.observe.routes import method_name, template
from tests.lines import Lines
from xfhandyman.security.proxies import TrustedProxyMiddleware, client_address, networks, trusts

Serve = Callable[..., HttpResponse]


@pytest.fixture
def serve(rf: RequestFactory, db: None) -> Serve:
    """Send a request with these headers through both middlewares to `view`; close the response, as servers do.

    That looks at whatever connection an earlier test has left open, which needs the permission `db` gives.
    """

    def send(
        view: Callable[[HttpRequest], HttpResponse] = lambda request: HttpResponse("ok"), **headers: str
    ) -> HttpResponse:
        response = TrustedProxyMiddleware(ObservingMiddleware(view))(rf.get("/", **headers))  # type: ignore[arg-type]  # META
        if not response.streaming:
            response.close()
        return response

    return send


def test_it_gives_every_response_an_id_of_its_own(serve: Serve) -> None:
    first, second = serve()["X-Request-ID"], serve()["X-Request-ID"]
    assert len(first) == 32
    assert first != second


@pytest.mark.parametrize(
    ("proxies", "given", "taken"),
    [
        (["127.0.0.1"], "from-the-proxy-0001", True),
        (["10.0.0.0/8"], "from-a-stranger-001", False),
        ([], "from-a-stranger-001", False),
        (["127.0.0.1"], "short", False),
        (["127.0.0.1"], "x" * 65, False),
        (["127.0.0.1"], 'line\nbreak","level":"x', False),
        (["127.0.0.1"], "ünïcödé-letters", False),
    ],
)
def test_it_takes_a_request_id_from_a_trusted_proxy_alone(
    serve: Serve, settings: pytest.FixtureRequest, proxies: list[str], given: str, taken: bool
) -> None:
    settings.TRUSTED_PROXIES = proxies  # type: ignore[attr-defined]  # pytest-django's settings
    assert (serve(HTTP_X_REQUEST_ID=given)["X-Request-ID"] == given) is taken


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),  # the first is the client's invention
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "not an address", "10.0.0.1"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        # One client, however a proxy writes its address; and never the proxy's own, which is everybody's.
        ("10.0.0.1", "203.0.113.9:51324", "203.0.113.9"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "::FFFF:CB00:7109", "203.0.113.9"),
        ("10.0.0.1", "64:ff9b::203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "[::ffff:203.0.113.9]:443", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::7]:51324", "2001:db8::7"),
        ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ("10.0.0.1", "2001:DB8:0::7%eth0", "2001:db8::7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9:1, 10.0.0.2:443, ::ffff:10.0.0.3", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # over a Unix socket
        ("10.0.0.1", "203.0.113.9:port", "10.0.0.1"),
    ],
)
def test_it_finds_the_client_behind_trusted_proxies(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, networks(["10.0.0.0/8"])) == client


def test_it_knows_a_proxy_however_its_network_is_written() -> None:
    for entry in ("10.1.0.0/16", "::ffff:10.1.0.0/112"):
        assert trusts("::ffff:10.1.2.3", networks([entry]))
        assert trusts("10.1.2.3", networks([entry]))
        assert not trusts("10.2.2.3", networks([entry]))


def test_it_forgets_forwarding_headers_of_strangers(serve: Serve) -> None:
    seen: dict[str, str] = {}

    def view(request: HttpRequest) -> HttpResponse:
        seen.update({key: str(value) for key, value in request.META.items()})
        return HttpResponse()

    serve(view, HTTP_X_FORWARDED_FOR="198.51.100.1", HTTP_X_FORWARDED_PROTO="https")
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert not {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"} & seen.keys()
    assert not trusts("203.0.113.9", networks(["10.0.0.0/8"]))


def test_it_writes_one_line_when_the_stream_has_ended(serve: Serve, lines: Lines) -> None:
    response = serve(lambda request: StreamingHttpResponse([b"abc", b"defg"]))
    assert not lines.named("request_finished")
    assert b"".join(response.streaming_content) == b"abcdefg"  # type: ignore[attr-defined]  # a stream
    response.close()
    response.close()
    (line,) = lines.named("request_finished")
    assert (line["status_code"], line["bytes"], line.get("aborted")) == (200, 7, None)
    assert current() is None


@pytest.mark.parametrize(
    ("ago", "form", "waited"),
    [
        (2, "t={:.3f}", 2),
        (2, "{:.0f}", 2),
        (2, "{:.0f}000", 2),
        (2, "{:.0f}000000", 2),
        (-5, "{:.3f}", 0),
        (3600, "{:.3f}", 0),
        (2, "t=0{:.0f}", 0),
    ],
)
def test_it_knows_since_when_a_trusted_proxy_has_had_the_request(
    serve: Serve, lines: Lines, settings: Any, ago: int, form: str, waited: float
) -> None:
    stamp = form.format(time.time() - ago)
    for proxies in (["127.0.0.1"], []):
        settings.TRUSTED_PROXIES = proxies
        serve(HTTP_X_REQUEST_START=stamp)
    believed, stranger = (line["queue_ms"] for line in lines.named("request_finished"))
    assert (waited - 0.5) * 1000 * bool(waited) <= believed <= (waited + 1.5) * 1000 * bool(waited)
    assert stranger == 0


def test_it_says_when_the_client_left_a_stream(serve: Serve, lines: Lines) -> None:
    response = serve(lambda request: StreamingHttpResponse(iter([b"abc", b"defg"])))
    next(iter(response))
    response.close()
    (line,) = lines.named("request_finished")
    assert line["aborted"] is True
    assert line["bytes"] == 3


def test_it_ends_the_observation_when_even_the_error_page_fails(serve: Serve, lines: Lines) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise RuntimeError("the page for errors failed")

    with pytest.raises(RuntimeError):
        serve(view)
    (line,) = lines.named("request_finished")
    assert line["status_code"] == 500
    assert current() is None


@pytest.mark.parametrize("hook", ["open_request", "exemplar"])
def test_it_answers_although_the_watching_fails(
    serve: Serve, lines: Lines, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(containment, "_told", set())
    monkeypatch.setattr(traces, hook, fail)
    dropped = catalogue.telemetry_dropped.labels("requests", "internal_error")
    before, others = dropped._value.get(), dict(in_flight)
    assert [serve().content for _ in range(3)] == [b"ok"] * 3
    assert dropped._value.get() == before + 3
    assert current() is None
    assert in_flight == others
    assert len(lines.named("telemetry_failed")) == 1


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("", "/"),
        ("book/<slug:slug>/", "/book/<slug>/"),
        ("bookings/<str:token>/confirmed/", "/bookings/<token>/confirmed/"),
        ("admin/<path:object_id>/change/", "/admin/<object_id>/change/"),
        ("<name>/x", "/<name>/x"),
        (r"^admin/(?P<url>.*)$", "/admin/<url>"),
    ],
)
def test_it_names_a_route_by_itstemplate(route: str, name: str) -> None:
    assert template(route) == name


def test_it_knows_seven_methods() -> None:
    assert method_name("GET") == "GET"
    assert method_name("get") == method_name("PROPFIND") == method_name(None) == "other"


@pytest.mark.django_db
def test_it_keeps_its_series_whatever_clients_invent(
    client: Client, rf: RequestFactory, static_files: None, caplog: pytest.LogCaptureFixture
) -> None:
    handler = BaseHandler()
    handler.load_middleware()

    def send(request: HttpRequest) -> int:
        response = handler.get_response(request)
        response.close()
        return response.status_code

    def series() -> int:
        return sum(len(metric.samples) for metric in REGISTRY.collect())

    for warm in (rf.get("/nowhere/"), rf.generic("BREW", "/nowhere/"), rf.get("/nowhere/", HTTP_HOST="evil.example")):
        send(warm)
    before = series()
    caplog.set_level(logging.CRITICAL)  # ten thousand lines are for the reader of a real log
    assert {send(rf.get(f"/invented/{number}/?q={number}")) for number in range(200)} == {404}
    observed = TrustedProxyMiddleware(ObservingMiddleware(lambda request: HttpResponse(status=404)))
    for number in range(10_000):  # the same without the page that a customer sees
        observed(rf.get(f"/also/invented/{number}/?q={number}")).close()
    assert {send(rf.generic(f"INVENT{number}", "/nowhere/")) for number in range(200)} == {404}
    assert {send(rf.get("/nowhere/", HTTP_HOST=f"h{number}.example")) for number in range(1_000)} <= {400, 404}
    assert series() == before


class Continued(traces.Tracing):
    """Tracing whose current span is always the same."""

    def outgoing(self) -> dict[str, str]:
        return {"traceparent": "of-the-span"}


def test_it_sends_the_request_id_and_the_span_along_with_outgoing_calls() -> None:
    heard: list[tuple[str | None, str | None]] = []

    class Peer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append((self.headers["X-Request-ID"], self.headers["traceparent"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Peer) as peer:
        Thread(target=peer.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{peer.server_port}/"
        outgoing_http.install()
        traces.use(Continued())
        with observing(Observation("the-request-0001")), requests.Session() as session:
            session.get(url)
            session.get(url, headers={"x-request-id": "the-callers-own", "Traceparent": "as-well"})
            session.get(url)
            urllib.request.urlopen(url, timeout=5).close()
        requests.get(url, timeout=5)
        traces.stop()
        peer.shutdown()
    ours = ("the-request-0001", "of-the-span")
    assert heard == [ours, ("the-callers-own", "as-well"), ours, ours, (None, None)]
