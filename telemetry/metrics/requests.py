"""The metrics of requests, registered as django-prometheus registers its own: sub-class, and change what you need."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django_prometheus.middleware import Metrics

from telemetry.metrics import catalogue, counter, gauge, histogram

# In seconds. 0.3 and 1 are the objectives' thresholds (fast enough, tolerable).
REQUEST_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
QUERIES_EDGES = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
_FAILURES = ("500", "503")


class RequestMetrics(Metrics):
    """A `metrics_cls` for the middleware. `register_metric` is the place to add labels, as django-prometheus says."""

    _instance = None  # its own, whatever other middleware of django-prometheus has made before

    def register_metric(
        self, metric_cls: Any, name: str, documentation: str, labelnames: Sequence[str] = (), **options: Any
    ) -> Any:
        """Declare one of `telemetry.metrics`: bounded labels, added up over workers."""
        return metric_cls(name, documentation, labels=tuple(labelnames), **options)

    def register(self) -> None:
        labels, new = ["method", "route", "status"], self.register_metric
        self.requests = new(counter, "http_requests_total", "Requests answered.", labels)
        self.duration = new(
            histogram,
            "http_request_duration_seconds",
            "From the first middleware to the last byte.",
            labels,
            edges=REQUEST_EDGES,
        )
        self.in_progress = new(gauge, "http_requests_in_progress", "Requests being answered now.")
        self.queue = catalogue.http_request_queue
        self.queries = new(
            histogram, "db_queries_per_request", "Queries one request made.", ["route"], edges=QUERIES_EDGES
        )
        self.of = lru_cache(maxsize=4096)(self._of)

    def _of(self, method: str, route: str, status: int) -> tuple[Any, Any, Any]:
        """The series of such requests; looked up once, because that costs more than counting in them."""
        for failure in _FAILURES:  # with 0, or the first failure of a route would be no increase
            self.requests.labels(method, route, failure)
        labels = (method, route, str(status))
        return self.requests.labels(*labels), self.duration.labels(*labels), self.queries.labels(route)
