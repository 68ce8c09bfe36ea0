"""django-structlog as its documentation describes it: its signals, and what is bound to structlog's context."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog
from asgiref.sync import async_to_sync
from django.dispatch import Signal
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from django_structlog import signals

from tests.lines import Lines

Receive = Callable[[Signal, Callable[..., object]], None]

log = structlog.get_logger("tests.views")


def fine(request: HttpRequest) -> HttpResponse:
    structlog.contextvars.bind_contextvars(basket=17)
    log.info("viewed")
    logging.getLogger("tests.library").warning("by the standard library")
    return HttpResponse("fine")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    structlog.contextvars.bind_contextvars(basket=18)
    return StreamingHttpResponse(iter([b"a", b"b"]))


def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse("bare")


def broken(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404


urlpatterns = [
    *(path(f"{view.__name__}/", view) for view in (fine, stream, bare, broken, missing)),
    path("", include("xfhandyman.urls")),  # what the pages for errors link to
]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture
def receive() -> Iterator[Receive]:
    connected: list[tuple[Signal, Callable[..., object]]] = []

    def connect(signal: Signal, receiver: Callable[..., object]) -> None:
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def test_what_is_bound_at_the_start_is_on_every_line_of_the_request(
    client: Client, lines: Lines, receive: Receive
) -> None:
    def bind_domain(request: HttpRequest, logger: object, log_kwargs: dict[str, object], **kwargs: object) -> None:
        structlog.contextvars.bind_contextvars(domain=request.get_host(), known=request.user.is_authenticated)
        log_kwargs["tenant"] = "north"

    receive(signals.bind_extra_request_metadata, bind_domain)
    client.get("/fine/?q=secret")
    assert (lines.one("viewed")["domain"], lines.one("viewed")["known"]) == ("testserver", False)
    assert lines.one("viewed")["request_id"] == lines.one("request_finished")["request_id"]
    finished = lines.one("request_finished")
    assert (finished["domain"], finished["basket"], finished["tenant"]) == ("testserver", 17, "north")
    assert "secret" not in str(lines.events)


def test_what_is_bound_for_one_request_is_not_on_the_next(client: Client, lines: Lines) -> None:
    client.get("/fine/")
    lines.events.clear()
    client.get("/bare/")
    assert "basket" not in lines.one("request_finished")
    assert structlog.contextvars.get_contextvars() == {}


def test_what_a_view_binds_is_on_the_line_of_its_stream(client: Client, lines: Lines) -> None:
    response = client.get("/stream/")
    assert b"".join(response.streaming_content) == b"ab"  # type: ignore[attr-defined]  # a stream
    assert lines.one("request_finished")["basket"] == 18


def test_a_receiver_adds_to_the_line_of_a_finished_request(client: Client, lines: Lines, receive: Receive) -> None:
    seen: list[object] = []

    def add_size(response: HttpResponse, logger: object, log_kwargs: dict[str, object], **kwargs: object) -> None:
        seen.append((log_kwargs["code"], log_kwargs["request"]))
        log_kwargs["size_class"] = "small"
        log_kwargs["status_code"] = "nonsense"
        structlog.contextvars.bind_contextvars(type=response["Content-Type"])

    receive(signals.bind_extra_request_finished_metadata, add_size)
    client.get("/bare/")
    assert seen == [(200, "GET /bare/")]
    finished = lines.one("request_finished")
    assert (finished["size_class"], finished["type"], finished["status_code"]) == (
        "small",
        "text/html; charset=utf-8",
        200,
    )
    assert not {"code", "request", "user_agent"} & finished.keys()
    assert client.get("/missing/").status_code == 404
    assert seen[1:] == [(404, "GET /missing/")]


def test_a_receiver_adds_to_the_line_of_a_failed_request(client: Client, lines: Lines, receive: Receive) -> None:
    def add_kind(exception: BaseException, log_kwargs: dict[str, object], **kwargs: object) -> None:
        structlog.contextvars.bind_contextvars(kind=type(exception).__name__)
        log_kwargs["owner"] = "shop"

    receive(signals.bind_extra_request_failed_metadata, add_kind)
    assert client.get("/broken/").status_code == 500
    failed = lines.one("request_failed")
    assert (failed["kind"], failed["owner"], failed["route"]) == ("ZeroDivisionError", "shop", "/broken/")
    assert lines.one("request_finished")["kind"] == "ZeroDivisionError"


def test_a_receiver_changes_the_response_of_a_failed_request(client: Client, receive: Receive) -> None:
    def add_request_id_to_error_response(
        response: HttpResponse, logger: structlog.stdlib.BoundLogger, **kwargs: object
    ) -> None:
        context = structlog.contextvars.get_merged_contextvars(logger)
        response["X-Failed-Request"] = context["request_id"]

    finished: list[object] = []
    receive(signals.update_failure_response, add_request_id_to_error_response)
    receive(signals.bind_extra_request_finished_metadata, lambda **_: finished.append(1))
    response = client.get("/broken/")
    assert response["X-Failed-Request"] == response["X-Request-ID"]
    assert not finished
    assert "X-Failed-Request" not in client.get("/bare/")


@pytest.mark.parametrize("path", ["/bare/", "/broken/"])
def test_a_receiver_that_fails_fails_no_request(client: Client, lines: Lines, receive: Receive, path: str) -> None:
    def fail(**_: object) -> None:
        raise KeyError("tenant")

    expected = client.get(path).status_code
    lines.events.clear()
    for signal in (
        signals.bind_extra_request_metadata,
        signals.bind_extra_request_finished_metadata,
        signals.bind_extra_request_failed_metadata,
        signals.update_failure_response,
    ):
        receive(signal, fail)
    assert client.get(path).status_code == expected
    assert lines.one("request_finished")["status_code"] == expected


def test_it_is_the_same_under_asgi(lines: Lines, receive: Receive) -> None:
    receive(
        signals.bind_extra_request_metadata,
        lambda request, **_: structlog.contextvars.bind_contextvars(domain=request.get_host()),
    )
    with ThreadPoolExecutor(1) as thread:  # this one may have the event loop of a browser
        thread.submit(lambda: async_to_sync(AsyncClient().get)("/fine/").close()).result()
    finished = lines.one("request_finished")
    assert (finished["domain"], finished["basket"]) == ("testserver", 17)
