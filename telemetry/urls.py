"""The routes of telemetry."""

from django.urls import path

from telemetry import exposition, health
from telemetry.rum.views import ingest

urlpatterns = [
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("api/health", health.health),
    path("api/telemetry", ingest, name="telemetry_beacon"),
    path("metrics", exposition.metrics_view),
]
