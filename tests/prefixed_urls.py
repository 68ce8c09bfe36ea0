"""A host that has the URLs of telemetry below a path of its own."""

from django.urls import include, path

urlpatterns = [path("hc/", include("telemetry.urls"))]
