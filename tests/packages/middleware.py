"""Metrics with a label of one's own, as django-prometheus' README shows it."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter

from telemetry.metrics.requests import RequestMetrics
from telemetry.middleware import ObservingMiddleware

EXTENDED = ["http_requests_total", "http_request_duration_seconds"]


class ShopMetrics(RequestMetrics):
    def register_metric(
        self, metric_cls: Any, name: str, documentation: str, labelnames: Sequence[str] = (), **options: Any
    ) -> Any:
        if name in EXTENDED:
            labelnames = [*labelnames, "shop"]
        return super().register_metric(metric_cls, name, documentation, labelnames=labelnames, **options)

    def register(self) -> None:
        super().register()
        self.visits = Counter("shop_visits_total", "Visits of a shop.")


class ShopMiddleware(ObservingMiddleware):
    metrics_cls = ShopMetrics

    def label_metric(
        self, metric: Any, request: HttpRequest, response: HttpResponseBase | None = None, **labels: Any
    ) -> Any:
        if metric in (self.metrics.requests, self.metrics.duration):
            self.metrics.visits.inc()
            labels["shop"] = "north"
        return super().label_metric(metric, request, response=response, **labels)
