"""django-prometheus' own names (`django_http_…`) beside ours, for dashboards that were made for them: STOCK_METRICS=on.

Its own middleware counts; what it takes from clients, such as a method that somebody invented, is bounded here.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_prometheus.middleware import Metrics, PrometheusAfterMiddleware, PrometheusBeforeMiddleware
from prometheus_client import Counter

from telemetry.metrics.labels import BoundedLabel

MOST = 200
"""Distinct values of each label."""


class BoundedMetrics(Metrics):
    """django-prometheus' set, whose labels take a bounded number of values."""

    _instance = None

    def register_metric(
        self, metric_cls: Any, name: str, documentation: str, labelnames: Sequence[str] = (), **options: Any
    ) -> Any:
        from telemetry.metrics import prometheus  # with the first metric, as it says

        kind, labels = "counter" if metric_cls is Counter else "histogram", tuple(labelnames)
        return prometheus.declare(kind, name, documentation, labels, [BoundedLabel(MOST) for _ in labels], options)


class _Before(PrometheusBeforeMiddleware):
    metrics_cls = BoundedMetrics


class _After(PrometheusAfterMiddleware):
    metrics_cls = BoundedMetrics

    def label_metric(
        self, metric: Any, request: HttpRequest, response: HttpResponseBase | None = None, **labels: Any
    ) -> Any:
        if "method" in labels:  # in two places the package takes it as the client wrote it
            labels["method"] = self._method(request)
        return super().label_metric(metric, request, response, **labels)


class StockMiddleware:
    """Both of django-prometheus' middlewares, driven by ours."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._before, self._after = _Before(get_response), _After(get_response)
        self.process_view = self._after.process_view
        self.process_exception = self._after.process_exception
        self.process_template_response = self._after.process_template_response

    def begin(self, request: HttpRequest) -> None:
        self._before.process_request(request)
        self._after.process_request(request)

    def end(self, request: HttpRequest, response: HttpResponseBase) -> None:
        self._after.process_response(request, response)
        self._before.process_response(request, response)
