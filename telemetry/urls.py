"""The routes of telemetry."""

from django.urls import path

from telemetry.health import views
from telemetry.rum.views import ingest, report
from telemetry.serve import exposition

urlpatterns = [
    path("livez", views.livez, name="telemetry_livez"),
    path("readyz", views.readyz, name="telemetry_readyz"),
    path("api/health", views.health, name="telemetry_health"),
    path("api/telemetry", ingest, name="telemetry_beacon"),
    path("api/telemetry/csp", report, name="telemetry_csp"),
    path("metrics", exposition.metrics_view, name="telemetry_metrics"),
]
