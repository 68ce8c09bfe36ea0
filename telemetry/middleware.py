"""The one middleware: observes a request, then projects it into metrics, the canonical log line and the span.

It is django-structlog's request middleware with its two steps, `prepare` and `handle_response`, replaced by cheaper
ones, and django-prometheus' with our set of metrics as its `metrics_cls`. A request ends when its response is closed:
after the last byte of a stream, or when the client has gone.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django_prometheus.middleware import Metrics, PrometheusBeforeMiddleware
from django_structlog.middlewares import RequestMiddleware

from telemetry import errors, traces
from telemetry.context import (
    BEACONS,
    REQUEST_ID,
    TRUSTED_CALLER,
    UNMATCHED,
    Observation,
    activate,
    deactivate,
    in_flight,
    new_request_id,
)
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.metrics.containment import failsafe
from telemetry.observe import queueing, work
from telemetry.observe.routes import method_name, route_name

QUIET = frozenset(BEACONS)
"""Routes whose requests are told at level debug: a beacon's line is `page_view`, and anybody can send a million."""

log = get_logger("telemetry.request")


class RequestMetrics(Metrics):
    """django-prometheus' set, replaced by ours."""

    def register(self) -> None:
        self.requests = catalogue.http_requests
        self.duration = catalogue.http_request_duration
        self.in_progress = catalogue.http_requests_in_progress
        self.queries = catalogue.db_queries_per_request
        self.of = lru_cache(maxsize=4096)(self._of)

    def _of(self, method: str, route: str, status: int) -> tuple[Any, Any, Any]:
        """The series of such requests; looked up once, because that costs more than counting in them."""
        labels = (method, route, str(status))
        return self.requests.labels(*labels), self.duration.labels(*labels), self.queries.labels(route)


class ObservingMiddleware(RequestMiddleware, PrometheusBeforeMiddleware):
    metrics_cls = RequestMetrics

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        RequestMiddleware.__init__(self, get_response)  # type: ignore[arg-type]  # it is narrower than Django
        self.metrics = self.metrics_cls.get_instance()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.prepare(request)
        try:
            response = self.get_response(request)
        except BaseException:  # the page for errors failed too, or the worker is being stopped
            request.observation.status = 500  # type: ignore[attr-defined]
            self.finish(request, request.observation, Sent())  # type: ignore[attr-defined]
            raise
        self.handle_response(request, response)  # type: ignore[arg-type]  # WSGI only
        return response  # type: ignore[return-value]  # ditto

    def prepare(self, request: HttpRequest) -> None:
        observation = Observation(self.request_id(request), method=method_name(request.method))
        observation.queued = queueing.take()
        request.request_id = observation.request_id  # type: ignore[attr-defined]  # for templates and error pages
        request.observation = observation  # type: ignore[attr-defined]
        activate(observation)
        self.begin(request, observation)

    @failsafe("requests")
    def begin(self, request: HttpRequest, observation: Observation) -> None:
        work.begin(observation)
        traces.open_request(observation, request.META)
        self.metrics.in_progress.set(len(in_flight))

    def request_id(self, request: HttpRequest) -> str:
        """A trusted proxy's id if it is well-formed, else a new one."""
        given = request.META.get("HTTP_X_REQUEST_ID", "") if request.META.get(TRUSTED_CALLER) else ""
        return given if REQUEST_ID.fullmatch(given) else new_request_id()

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        """The route is known from here on, also to whoever asks what is in flight."""
        request.observation.route = route_name(request)  # type: ignore[attr-defined]

    def handle_response(self, request: HttpRequest, response: HttpResponseBase) -> None:
        observation: Observation = request.observation  # type: ignore[attr-defined]
        response["X-Request-ID"] = observation.request_id
        observation.status = response.status_code
        user = getattr(request, "_cached_user", None)  # asking request.user would query the session on every page
        observation.user_id = user.pk if user is not None else None
        if observation.route == UNMATCHED and observation.status < 400 and request.path.startswith(settings.STATIC_URL):
            observation.route = "static"  # WhiteNoise answers before any URL pattern
        sent = Sent()
        if getattr(response, "file_to_stream", None) is not None:  # the server sends the file itself
            sent.bytes = int(response.get("Content-Length") or 0)
        elif isinstance(response, StreamingHttpResponse):
            response.streaming_content = sent.count(response.streaming_content)  # type: ignore[arg-type]  # WSGI only
        elif isinstance(response, HttpResponse):
            sent.bytes = len(response.content)
        # First, so that what other closers do is not lost with an exception of theirs.
        response._resource_closers.append(lambda: self.finish(request, observation, sent))  # type: ignore[attr-defined]

    def finish(self, request: HttpRequest, observation: Observation, sent: "Sent") -> None:
        """Project the observation, once; whatever comes of that, this thread is done with it."""
        if observation.finished:
            return
        observation.finished = True
        self.project(request, observation, sent)
        deactivate(observation)

    @failsafe("requests")
    def project(self, request: HttpRequest, observation: Observation, sent: "Sent") -> None:
        seconds = perf_counter() - observation.started
        requests, duration, queries = self.metrics.of(observation.method, observation.route, observation.status)
        requests.inc()
        duration.observe(seconds)
        queries.observe(observation.db_queries)
        error = getattr(request, "_raised_exception", None) or sent.error
        failed = observation.status >= 500
        work.ledger.finished(
            observation, work.failure(error or observation.error, observation.status) if failed else ""
        )
        traces.close_request(observation, error)
        ending = {} if sent.complete else {"aborted": True}
        if observation.status >= 500:
            ending["sentry"] = False  # the exception is reported, not the line that counts it
        quiet = log.debug if observation.route in QUIET else log.info
        say = log.error if observation.status >= 500 else quiet
        say(
            "request_finished",
            method=observation.method,
            route=observation.route,
            status=observation.status,
            duration_ms=round(seconds * 1000, 1),
            db_queries=observation.db_queries,
            db_ms=round(observation.db_ms, 1),
            db_wait_ms=round(observation.db_wait_ms, 1),
            user_id=observation.user_id,
            bytes=sent.bytes,
            **ending,
        )
        self.metrics.in_progress.set(len(in_flight) - 1)

    @failsafe("requests")
    def process_got_request_exception(self, sender: type[Any], request: HttpRequest | None = None, **_: Any) -> None:
        """An exception became a 500: told once, with its stack, and reported."""
        error = sys.exc_info()[1]
        if error is None or request is None or hasattr(request, "_raised_exception"):
            return  # what the page for errors raises in turn is a consequence
        request._raised_exception = error  # type: ignore[attr-defined]  # django-structlog's name for it
        observation = getattr(request, "observation", None)
        errors.capture(error, handled=False, request=request)
        log.error("request_failed", route=observation.route if observation else None, exc_info=error)


class Sent:
    """What went out as the body: its size in bytes, and whether it was all of it."""

    __slots__ = ("bytes", "complete", "error")

    def __init__(self) -> None:
        self.bytes, self.complete = 0, True
        self.error: BaseException | None = None

    def count(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self.complete = False
        try:
            for chunk in chunks:
                self.bytes += len(chunk)
                yield chunk
        except Exception as error:
            self.error = error
            raise
        self.complete = True
