"""Security settings that contradict the environment, reported before the site starts."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from xfhandyman.security.proxies import networks


@register(Tags.security)
def check_security(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Proxies that cannot be meant, and what makes production less than its settings promise."""
    return [*_proxies(), *(_production() if settings.PRODUCTION else ())]


_CONTACTS = ("https://", "mailto:", "tel:")


def _proxies() -> Iterator[CheckMessage]:
    try:
        networks(settings.TRUSTED_PROXIES)
    except ValueError as error:
        yield Error(f"TRUSTED_PROXIES must be addresses or networks: {error}.", id="xfhandyman.E012")


def _production() -> Iterator[CheckMessage]:
    if not settings.STAFF_SECOND_FACTOR:
        yield Warning(
            "STAFF_SECOND_FACTOR is off: a stolen password is enough to read every customer's address.",
            id="xfhandyman.W031",
        )
    if not settings.SECURITY_CONTACT.startswith(_CONTACTS):
        kinds = ", ".join(_CONTACTS)
        yield Error(
            f"SECURITY_CONTACT is {settings.SECURITY_CONTACT!r}; it begins with one of {kinds}", id="xfhandyman.E031"
        )
    secure = settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE
    named = all(name.startswith("__Host-") for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME))
    if not (secure and named):
        yield Error(
            "Production's cookies are Secure and begin with __Host-; a settings file says otherwise.",
            id="xfhandyman.E032",
        )
    if settings.SESSION_COOKIE_DOMAIN or settings.CSRF_COOKIE_DOMAIN or settings.SESSION_COOKIE_PATH != "/":
        yield Error(
            "Browsers refuse a __Host- cookie with a domain, or with a path other than /.", id="xfhandyman.E033"
        )
