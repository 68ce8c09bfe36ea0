"""The routes of telemetry."""

from django.urls import path

from telemetry import exposition, health
from telemetry.rum.views import ingest, report

urlpatterns = [
    *[path(route[1:], view) for route, view in health.VIEWS.items()],
    path("api/telemetry", ingest, name="telemetry_beacon"),
    path("api/telemetry/csp", report, name="telemetry_csp"),
    path("metrics", exposition.metrics_view),
]
