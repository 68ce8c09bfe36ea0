"""Introduces the two apps to each other once the models of both are loaded."""

from django.apps import AppConfig


class XFHandymanConfig(AppConfig):
    """Stands first in INSTALLED_APPS, so that nobody has imported by name what is wrapped here."""

    name = "xfhandyman"
    verbose_name = "XFHandyman"

    def ready(self) -> None:
        from django.contrib import admin
        from django_otp_webauthn.admin import WebAuthnCredentialAdmin
        from django_otp_webauthn.models import WebAuthnCredential

        from telemetry import health
        from telemetry.conf import conf
        from xfhandyman import pooler  # noqa: F401 - their checks register themselves
        from xfhandyman.security import checks as _security_checks  # noqa: F401 - as above
        from xfhandyman.security.logins import watch_logins
        from xfhandyman.security.notices import watch_accounts
        from xfhandyman.wiring import checks as _checks  # noqa: F401 - as above
        from xfhandyman.wiring.health_checks import stripe
        from xfhandyman.wiring.redaction import redact_postcodes
        from xfhandyman.wiring.tickets import register_tickets

        admin.site.register(WebAuthnCredential, WebAuthnCredentialAdmin)  # which the package leaves to its host
        watch_logins()
        watch_accounts()
        health.register("stripe", stripe)
        register_tickets()
        redact_postcodes()
        if conf.enabled:
            from xfhandyman.wiring.observers import watch_bookings
            from xfhandyman.wiring.spans import trace_business

            trace_business()
            watch_bookings()
