"""The watching: context, logs, metrics, queries, traces, errors, health, RUM. Knows no bookings."""

from django.apps import AppConfig
from django.conf import settings


class TelemetryConfig(AppConfig):
    name = "telemetry"
    verbose_name = "Telemetry"

    def ready(self) -> None:
        from telemetry import checks  # noqa: F401 - the checks register themselves
        from telemetry.observe import outgoing_http

        if settings.TELEMETRY:
            outgoing_http.install()
