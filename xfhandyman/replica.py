"""Reads that may be a little old go to a streaming replica, when there is one, it answers and it keeps up.

Only the pages of PAGES, and on them only what the business and the watching have written. Sessions and users are read
where they are written, or a login would not hold on the next page. No page from which somebody books is here: whether
a window is free is asked where the constraint judges it.
"""

import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import structlog
from django.conf import settings
from django.db import Error, models
from django.http import Http404, HttpRequest, HttpResponse

from telemetry.observe.probe import DatabaseProbe
from xfhandyman.wiring import metrics

ALIAS = "replica"
PAGES = frozenset({"home", "services", "service", "sitemap", "operations"})
APPS = frozenset({"bookings", "telemetry", "procrastinate"})
TIMEOUT = 0.25
"""Seconds a page waits for a replica that was well until now; one that is known to be bad costs nothing."""

# A primary without customers still writes: the task worker's heartbeat comes every ten seconds.
_KEEPS_UP = (
    "SELECT 1 WHERE coalesce(clock_timestamp() - pg_last_xact_replay_timestamp() < interval '{} s',"
    " NOT pg_is_in_recovery())"
)

log = structlog.get_logger("xfhandyman.replica")
_reading: ContextVar[bool] = ContextVar("reading from the replica", default=False)


class Router:
    """Django's question where a query goes; everything but the reads above goes to the primary."""

    def db_for_read(self, model: type[models.Model], **_hints: Any) -> str:
        return ALIAS if _reading.get() and model._meta.app_label in APPS else "default"

    def db_for_write(self, model: type[models.Model], **_hints: Any) -> str:
        return "default"

    def allow_relation(self, first: models.Model, _second: models.Model, **_hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool:
        return db != ALIAS


class StaleReadsMiddleware:
    """Answers a page of PAGES from the replica, or leaves it to the primary. The last of MIDDLEWARE."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.probe = DatabaseProbe(ALIAS, _KEEPS_UP.format(settings.DATABASE_REPLICA_LAG))
        os.register_at_fork(after_in_child=self.probe.forget)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """The page from the replica; None has Django ask the view again, which only reads, from the primary."""
        match = request.resolver_match
        if match is None or match.view_name not in PAGES or request.method not in ("GET", "HEAD"):
            return None
        if self.probe.check(TIMEOUT).ok:
            reading = _reading.set(True)
            try:
                response = view(request, *args, **kwargs)
                if hasattr(response, "render"):  # its template reads as well
                    response = response.render()
                metrics.db_replica_requests.labels("replica").inc()
                return response
            except Http404:  # or only not there yet: the primary knows
                pass
            except Error as error:  # gone since it was asked, or it broke off a query that stood in its way
                log.warning("replica_failed", error_type=type(error).__name__)
            finally:
                _reading.reset(reading)
        metrics.db_replica_requests.labels("primary").inc()
        return None
