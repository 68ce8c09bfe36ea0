"""The one middleware: observes a request, then projects it into metrics, the canonical log line and the span.

It is django-structlog's request middleware with its two steps, `prepare` and `handle_response`, replaced by cheaper
ones that send the same signals, and django-prometheus' with our set of metrics as its `metrics_cls`. A request ends
when its response is closed: after the last byte of a stream, or when the client has gone.
"""

import sys
from asyncio import CancelledError
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django_prometheus.middleware import PrometheusBeforeMiddleware
from django_structlog import signals
from django_structlog.middlewares import RequestMiddleware

from telemetry import errors, traces
from telemetry.conf import conf
from telemetry.context import (
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
from telemetry.metrics.containment import failsafe
from telemetry.metrics.requests import RequestMetrics
from telemetry.metrics.stock import StockMiddleware
from telemetry.observe import queueing, work
from telemetry.observe.routes import method_name, route_name
from telemetry.serve import lifecycle, probes

_OWN_FIELDS = {"event", "method", "route", "status_code", "duration_ms", "db_queries", "db_ms", "db_wait_ms", "user_id"}
_OWN_FIELDS |= {"bytes", "queue_ms", "aborted", "sentry", "exc_info"}
"""Of the lines of a request; no receiver of a signal replaces them."""

log = get_logger("telemetry.request").bind()  # once, and not for each line


class Unobserved:
    """Replaces the middleware while telemetry is off: it answers probes."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response, self.is_async = get_response, iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self.__acall__(request)
        view = probes.view_of(request)
        return self.get_response(request) if view is None else probes.respond(view, request)

    async def __acall__(self, request: HttpRequest) -> Any:
        view = probes.view_of(request)
        if view is None:
            return await self.get_response(request)
        return await sync_to_async(probes.respond, thread_sensitive=False)(view, request)


class ObservingMiddleware(RequestMiddleware, PrometheusBeforeMiddleware):
    """Stands first in MIDDLEWARE. Answers probes and beacons itself; for WSGI and ASGI."""

    metrics_cls = RequestMetrics

    def __new__(cls, get_response: Callable[[HttpRequest], Any]) -> Any:
        return super().__new__(cls) if conf.enabled else Unobserved(get_response)

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        RequestMiddleware.__init__(self, get_response)
        lifecycle.serves_requests()
        self.is_async = iscoroutinefunction(get_response)
        self.metrics = self.metrics_cls.get_instance()
        self.static_url = settings.STATIC_URL or None
        self.stock = StockMiddleware(get_response) if conf.stock_metrics else None
        if self.stock is not None:
            self.process_exception = self.stock.process_exception
            self.process_template_response = self.stock.process_template_response

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self.__acall__(request)
        self.prepare(request)
        try:
            view = probes.view_of(request)
            response = self.get_response(request) if view is None else probes.respond(view, request)
        except BaseException:  # the page for errors failed too, or the worker is being stopped
            self.finish_unanswered(request, 500)
            raise
        self.handle_response(request, response)  # type: ignore[arg-type]  # WSGI only
        return response

    async def __acall__(self, request: HttpRequest) -> Any:
        self.prepare(request)
        try:
            view = probes.view_of(request)
            if view is None:
                response = await self.get_response(request)  # type: ignore[misc]  # it is a coroutine function
            else:
                response = await sync_to_async(probes.respond, thread_sensitive=False)(view, request)
        except CancelledError:  # the client has gone
            self.finish_unanswered(request, 499)
            raise
        except BaseException:
            self.finish_unanswered(request, 500)
            raise
        self.handle_response(request, response)
        return response

    def finish_unanswered(self, request: HttpRequest, status: int) -> None:
        """Finish the observation of a request that gets no answer."""
        observation: Observation = request.observation  # type: ignore[attr-defined]  # set by prepare()
        observation.status = status
        sent = Sent()
        sent.complete = status == 500
        self.finish(request, observation, sent)

    def prepare(self, request: HttpRequest) -> None:
        observation = Observation(self.request_id(request), method=method_name(request.method))
        observation.queued = queueing.take(request.META)
        request.request_id = observation.request_id  # type: ignore[attr-defined]  # for templates and error pages
        request.observation = observation  # type: ignore[attr-defined]  # Django requests carry any attribute
        activate(observation)
        structlog.contextvars.bind_contextvars(request_id=observation.request_id)
        self.begin(request, observation)

    @failsafe("requests")
    def begin(self, request: HttpRequest, observation: Observation) -> None:
        lifecycle.begin()
        if not self.is_async:
            work.begin(observation)
        if probes.view_of(request) is None:
            traces.open_request(observation, request.META, getattr(request, "scope", None))
        else:
            observation.route, observation.apart = request.path_info, True
        self.metrics.in_progress.set(len(in_flight))
        if self.stock is not None:
            self.stock.begin(request)

    def request_id(self, request: HttpRequest) -> str:
        """A trusted proxy's id if it is well-formed, else a new one."""
        given = request.META.get("HTTP_X_REQUEST_ID", "") if request.META.get(TRUSTED_CALLER) else ""
        return given if REQUEST_ID.fullmatch(given) else new_request_id()

    def process_view(self, request: HttpRequest, *view: Any) -> None:
        """The route is known from here on, also to whoever asks what is in flight, and so is the user."""
        observation: Observation = request.observation  # type: ignore[attr-defined]  # set by prepare()
        observation.route = route_name(request)
        started = signals.bind_extra_request_metadata
        if started.receivers:
            agent = {"user_agent": request.META.get("HTTP_USER_AGENT")}
            observation.fields.update(self.ask(started, request, agent))
        if self.stock is not None:
            self.stock.process_view(request, *view)

    def ask(self, signal: Signal, request: HttpRequest, known: dict[str, Any], **about: Any) -> dict[str, Any]:
        """Send a signal of django-structlog, and return what its receivers add to the line.

        Of its own `log_kwargs` nothing is logged: they hold the path and the user agent. No receiver fails a request.
        """
        known = {"request": self.format_request(request), **known}
        fields = dict(known)
        signal.send_robust(self.__class__, request=request, logger=log, log_kwargs=fields, **about)
        return {name: value for name, value in fields.items() if name not in known and name not in _OWN_FIELDS}

    def handle_response(self, request: HttpRequest, response: HttpResponseBase) -> None:
        observation: Observation = request.observation  # type: ignore[attr-defined]  # set by prepare()
        response["X-Request-ID"] = observation.request_id
        observation.status = response.status_code
        user = getattr(request, "_cached_user", None)  # asking request.user would query the session on every page
        observation.user_id = user.pk if user is not None else None
        if (
            self.static_url
            and observation.route == UNMATCHED
            and observation.status < 400
            and request.path.startswith(self.static_url)
        ):
            observation.route = "static"  # WhiteNoise answers before any URL pattern
        self.send_signals(request, response, observation)
        sent = Sent(response)
        if getattr(response, "file_to_stream", None) is not None:  # the server sends the file itself
            sent.bytes = int(response.get("Content-Length") or 0)
        elif isinstance(response, StreamingHttpResponse):
            content: Any = response.streaming_content
            response.streaming_content = sent.count_async(content) if response.is_async else sent.count(content)
        elif isinstance(response, HttpResponse):
            sent.bytes = len(response.content)
        close = response.close

        def closing() -> None:
            self.finish(request, observation, sent)  # first: an exception of what else is closed must not lose it
            close()

        response.close = closing  # type: ignore[method-assign]  # the server calls it after the last byte

    @failsafe("requests")
    def send_signals(self, request: HttpRequest, response: HttpResponseBase, observation: Observation) -> None:
        """Send django-structlog's signal that a response has been made, and count it with django-prometheus."""
        error, finished = getattr(request, "raised_exception", None), signals.bind_extra_request_finished_metadata
        if error is not None:
            about = {"request": request, "response": response, "logger": log, "exception": error}
            signals.update_failure_response.send_robust(self.__class__, **about)
        elif finished.receivers:
            fields = self.ask(finished, request, {"code": response.status_code}, response=response)
            observation.fields.update(fields)
        if self.is_async:
            observation.bound = structlog.contextvars.get_contextvars()
        if self.stock is not None:
            self.stock.end(request, response)

    def finish(self, request: HttpRequest, observation: Observation, sent: "Sent") -> None:
        """Project the observation, once, and release it from this thread also when that fails."""
        if observation.finished:
            return
        observation.finished = True
        activate(observation)  # under ASGI a response is closed in another context
        if observation.bound:
            structlog.contextvars.bind_contextvars(**observation.bound)
        self.project(request, observation, sent)
        structlog.contextvars.clear_contextvars()
        deactivate(observation)

    @failsafe("requests")
    def project(self, request: HttpRequest, observation: Observation, sent: "Sent") -> None:
        seconds = perf_counter() - observation.started
        traces.decide(observation, seconds, observation.status >= 500)
        requests, duration, queries = self.series(request, observation, sent)
        requests.inc()
        duration.observe(seconds, traces.exemplar())
        if observation.queued:  # 0 where the server does not say
            self.metrics.queue.observe(observation.queued)
        queries.observe(observation.db_queries)
        error = getattr(request, "raised_exception", None) or sent.error
        failed = observation.status >= 500
        work.ledger.finished(
            observation, work.failure(error or observation.error, observation.status) if failed else ""
        )
        if not observation.apart:
            met = error is not None or observation.error is not None
            errors.session("crashed" if failed and error is not None else "errored" if met else "exited")
        ending = {} if sent.complete else {"aborted": True}
        if failed:
            ending["sentry"] = False  # the exception is reported, not the line that counts it
        # The line of a beacon is `page_view`, and anybody can send a million of them.
        quiet = log.debug if observation.route in probes.beacons() else log.info
        say = log.error if failed else quiet
        say(
            "request_finished",
            method=observation.method,
            route=observation.route,
            status_code=observation.status,
            duration_ms=round(seconds * 1000, 1),
            queue_ms=round(observation.queued * 1000, 1),
            db_queries=observation.db_queries,
            db_ms=round(observation.db_ms, 1),
            db_wait_ms=round(observation.db_wait_ms, 1),
            user_id=observation.user_id,
            bytes=sent.bytes,
            **ending,
            **observation.fields,
        )
        self.metrics.in_progress.set(len(in_flight) - 1)

    def series(self, request: HttpRequest, observation: Observation, sent: "Sent") -> tuple[Any, Any, Any]:
        """Where this request is counted: requests, duration, queries."""
        method, route, status = observation.method, observation.route, observation.status
        if type(self).label_metric is ObservingMiddleware.label_metric:
            kept: tuple[Any, Any, Any] = self.metrics.of(method, route, status)
            return kept
        labels = {"method": method, "route": route, "status": str(status)}
        return (
            self.label_metric(self.metrics.requests, request, sent.response, **labels),
            self.label_metric(self.metrics.duration, request, sent.response, **labels),
            self.label_metric(self.metrics.queries, request, sent.response, route=route),
        )

    def label_metric(
        self, metric: Any, request: HttpRequest, response: HttpResponseBase | None = None, **labels: Any
    ) -> Any:
        """The series of a metric in which a request is counted; django-prometheus' place for labels of one's own."""
        return metric.labels(**labels) if labels else metric

    @failsafe("requests")
    def process_got_request_exception(self, sender: type[Any], request: HttpRequest | None = None, **_: Any) -> None:
        """An exception became a 500: logged once, with its stack, and reported."""
        error = sys.exc_info()[1]
        if error is None or request is None or hasattr(request, "raised_exception"):
            return  # what the page for errors raises in turn is a consequence
        request.raised_exception = error  # type: ignore[attr-defined]  # Django requests carry any attribute
        observation: Observation | None = getattr(request, "observation", None)
        errors.capture(error, handled=False, request=request)
        fields, failed = {}, signals.bind_extra_request_failed_metadata
        if failed.receivers:
            fields = self.ask(failed, request, {"code": 500}, exception=error)
        log.error("request_failed", **fields, route=observation.route if observation else None, exc_info=error)


class Sent:
    """What went out as the body: its size in bytes, and whether it was all of it."""

    __slots__ = ("bytes", "complete", "error", "response")

    def __init__(self, response: HttpResponseBase | None = None) -> None:
        self.bytes, self.complete, self.response = 0, True, response
        self.error: BaseException | None = None

    def count(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        with self._watched():
            for chunk in chunks:
                self.bytes += len(chunk)
                yield chunk

    async def count_async(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        with self._watched():
            async for chunk in chunks:
                self.bytes += len(chunk)
                yield chunk

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Whether the body ends; a client that hangs up closes the generator, which is no error."""
        self.complete = False
        try:
            yield
        except Exception as error:
            self.error = error
            raise
        self.complete = True
