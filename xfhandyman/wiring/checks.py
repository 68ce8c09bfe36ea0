"""Numbers and addresses of the environment that would break the site later, reported before it starts."""

import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from telemetry.conf import conf

MIN_SECRET = 50
# Variable → setting, the least and the most that make sense (None: no limit).
_BOUNDS: dict[str, tuple[float, float | None]] = {
    "WEB_THREADS": (1, None),
    "DB_STATEMENT_TIMEOUT": (0, None),  # 0 is for migrations that take long
    "ARRIVAL_WINDOW_MINUTES": (5, 24 * 60),
    "BOOKING_STEP_MINUTES": (5, 24 * 60),  # every step of a day is gone through
    "BOOKING_NOTICE_HOURS": (0, None),
    "BOOKING_HORIZON_DAYS": (1, 730),
    "BOOKING_JOBS_PER_VISIT": (1, 12),
    "BOOKING_CHANGE_HOURS": (0, None),
    "BOOKING_GRACE_MINUTES": (0, None),
    "BOOKING_LINK_DAYS": (1, None),
    "WAITLIST_HOLD_MINUTES": (5, 24 * 60),
    "TRAVEL_DETOUR_PERCENT": (100, 300),
    "TRAVEL_PARKING_MINUTES": (0, 120),
    "TRAVEL_NEARBY_METRES": (0, 100_000),
}


@register
def check_environment(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Every value that cannot be meant, a line each."""
    return [
        *_numbers(),
        *_workers(),
        *_ports(),
        *_telemetry(),
        *_pool(),
        *(_production() if settings.PRODUCTION else ()),
    ]


def _numbers() -> Iterator[CheckMessage]:
    for name, (least, most) in _BOUNDS.items():
        value = getattr(settings, name)
        if value < least or (most is not None and value > most):
            bounds = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
            yield Error(f"{name} is {value:g}; it must be {bounds}.", id="xfhandyman.E010")


def _workers() -> Iterator[CheckMessage]:
    # gunicorn reads it by itself, before anybody could check; the release, which runs this first, can.
    value = os.environ.get("WEB_CONCURRENCY", "2")
    if not value.isdigit() or int(value) < 1:
        yield Error(f"WEB_CONCURRENCY is {value!r}; it must be a whole number from 1.", id="xfhandyman.E011")


def _ports() -> Iterator[CheckMessage]:
    value = os.environ.get("ENVIRONMENT", "development")
    if value not in ("development", "production"):
        yield Error(f"ENVIRONMENT is {value!r}; it must be development or production.", id="xfhandyman.E013")
    ports = {"PORT": settings.PORT, "METRICS_PORT": conf.metrics_port, "WORKER_METRICS_PORT": conf.worker_metrics_port}
    if conf.enabled and len(set(ports.values())) < len(ports):
        named = ", ".join(f"{name} ({port})" for name, port in ports.items())
        yield Error(f"{named} must be three ports.", id="xfhandyman.E014")


def _telemetry() -> Iterator[CheckMessage]:
    """What telemetry would only warn of: this site does not start with a value that cannot be meant."""
    for problem in conf.problems():
        yield Error(f"{problem.key} is {problem.shown}; it must be {problem.wanted}.", id="xfhandyman.E015")


def _pool() -> Iterator[CheckMessage]:
    pool = settings.DATABASES["default"].get("OPTIONS", {}).get("pool")
    if not isinstance(pool, dict):
        return
    if pool["min_size"] > pool["max_size"]:
        sizes = f"DB_POOL_MIN_SIZE ({pool['min_size']}) is more than DB_POOL_MAX_SIZE ({pool['max_size']})"
        yield Error(f"{sizes}; lower the one or raise the other.", id="xfhandyman.E020")
    if not 0 < pool["timeout"] <= 30:
        yield Error(
            f"DB_POOL_TIMEOUT is {pool['timeout']:g}; it must be more than 0 and at most 30 seconds.",
            id="xfhandyman.E021",
        )


def _production() -> Iterator[CheckMessage]:
    if len(os.environ.get("SECRET_KEY", "")) < MIN_SECRET:  # settings.SECRET_KEY raises when it is empty
        yield Error(f"SECRET_KEY must have {MIN_SECRET} characters or more in production.", id="xfhandyman.E040")
    if not settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS is empty; name the hosts that customers use, separated by commas.", id="xfhandyman.E041"
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Error("ALLOWED_HOSTS contains *, which lets a client choose the host in our links.", id="xfhandyman.E042")
    site = urlsplit(settings.SITE_URL)
    if site.scheme != "https" or not site.hostname:
        yield Error(
            f"SITE_URL is {settings.SITE_URL!r}; it must begin with https:// in production.", id="xfhandyman.E043"
        )
    elif settings.ALLOWED_HOSTS and not any(_matches(site.hostname, host) for host in settings.ALLOWED_HOSTS):
        yield Error(
            f"SITE_URL's host {site.hostname} is not in ALLOWED_HOSTS, so the links we e-mail would fail.",
            id="xfhandyman.E044",
        )
    if not os.environ.get("EMAIL_URL"):
        yield Error("EMAIL_URL is not set; without it no customer gets a confirmation.", id="xfhandyman.E045")
    if bool(os.environ.get("STRIPE_SECRET_KEY")) != bool(os.environ.get("STRIPE_WEBHOOK_SECRET")):
        yield Error(
            "STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET belong together; one is missing.", id="xfhandyman.E046"
        )
    for name in ("STRIPE_API_BASE", "STRIPE_CHECKOUT_ORIGIN"):
        if not getattr(settings, name).startswith("https://"):
            yield Error(
                f"{name} is {getattr(settings, name)!r}; money goes over https:// alone in production.",
                id="xfhandyman.E047",
            )
    if not settings.TRUSTED_PROXIES:
        text = "TRUSTED_PROXIES is empty: behind a proxy every request looks like plain HTTP from the proxy's address."
        yield Warning(text, id="xfhandyman.W040")


def _matches(host: str, pattern: str) -> bool:
    return host == pattern or (pattern.startswith(".") and (host.endswith(pattern) or host == pattern[1:]))
