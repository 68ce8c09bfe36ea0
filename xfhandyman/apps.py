"""Introduces the two apps to each other once the models of both are loaded."""

from django.apps import AppConfig
from django.conf import settings


class XFHandymanConfig(AppConfig):
    """Stands first in INSTALLED_APPS, so that nobody has imported by name what is wrapped here."""

    name = "xfhandyman"
    verbose_name = "XFHandyman"

    def ready(self) -> None:
        from xfhandyman import checks, pooler  # noqa: F401 - their checks register themselves
        from xfhandyman.security import checks as _security_checks  # noqa: F401 - ditto
        from xfhandyman.security.logins import watch_logins
        from xfhandyman.security.notices import watch_accounts

        watch_logins()
        watch_accounts()
        if settings.TELEMETRY:
            from xfhandyman.observers import watch_bookings
            from xfhandyman.spans import trace_business

            trace_business()
            watch_bookings()
