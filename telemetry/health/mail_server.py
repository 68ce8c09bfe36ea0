"""Whether the mail server takes messages."""

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.smtp import EmailBackend

from telemetry.health import State

TIMEOUT = 3
"""Seconds it gets to answer."""


def ask() -> State:
    """Connect to the mail server and log in, as the next message would. Raises OSError, smtplib.SMTPException."""
    if not settings.is_overridden("EMAIL_HOST"):  # type: ignore[misc]  # the stubs omit it
        return "disabled"  # Django's default is this machine, where nobody has said that there is a mail server
    # Past `telemetry.observe.mail`, which stands before the backend that delivers.
    backend = get_connection(getattr(settings, "EMAIL_DELIVERY_BACKEND", settings.EMAIL_BACKEND), timeout=TIMEOUT)
    if not isinstance(backend, EmailBackend) or not backend.host:
        return "disabled"  # messages go to a file or the console
    backend.open()
    backend.close()
    return "ok"
