"""The routes of telemetry."""

from django.urls import path

from telemetry.health import views
from telemetry.rum.views import ingest, report
from telemetry.serve import exposition

urlpatterns = [
    *[path(route[1:], view) for route, view in views.VIEWS.items()],
    path("api/telemetry", ingest, name="telemetry_beacon"),
    path("api/telemetry/csp", report, name="telemetry_csp"),
    path("metrics", exposition.metrics_view),
]
