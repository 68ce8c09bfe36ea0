"""The watching: context, logs, metrics, queries, traces, errors, health, RUM. Knows nothing of its host."""

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created


class TelemetryConfig(AppConfig):
    name = "telemetry"
    default_auto_field = "django.db.models.BigAutoField"  # as its migrations have it, whatever the host's default is
    verbose_name = "Telemetry"

    def ready(self) -> None:
        from telemetry import background, checks, health, traces  # noqa: F401 - the checks register themselves
        from telemetry.conf import conf
        from telemetry.health import databases, mail_server, memory
        from telemetry.logs import setup
        from telemetry.observe import outgoing_http, queries

        health.register("email", mail_server.ask)
        health.register("memory", memory.memory)
        if conf.enabled:
            databases.register()
            setup.install(keep_root_level="root" in (settings.LOGGING or {}))
            outgoing_http.install()
            background.before_each(_begin)
            traces.instrument()
            connection_created.connect(queries.watch_other_engines, dispatch_uid="telemetry")


def _begin() -> None:
    from telemetry.serve import lifecycle  # with the first task, not with each command

    lifecycle.begin()
