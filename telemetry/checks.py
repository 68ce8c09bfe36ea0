"""Configuration faults, found at start (`manage.py check`, and before gunicorn makes a worker). Ids are stable.

Errors stop the start. Each message is one line that names the variable and what to do.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

MIN_SECRET = 50
MIN_TOKEN = 16


@register
def check_configuration(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Every fault of the environment."""
    production = settings.ENVIRONMENT == "production"
    return [*_choices(), *_watching(), *_pool(), *(_production() if production else ())]


def _choices() -> Iterator[CheckMessage]:
    for number, variable, default, allowed in (
        (1, "ENVIRONMENT", "development", ("development", "production")),
        (2, "TELEMETRY", "on", ("on", "off")),
        (3, "LOG_FORMAT", "", ("", "json", "console")),
        (4, "LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    ):
        value = os.environ.get(variable, default)
        if value not in allowed:
            yield _error(number, f"{variable} is {value!r}; it must be one of {', '.join(filter(None, allowed))}.")


def _watching() -> Iterator[CheckMessage]:
    ports = {"PORT": settings.PORT, "METRICS_PORT": settings.METRICS_PORT}
    ports["WORKER_METRICS_PORT"] = settings.WORKER_METRICS_PORT
    if settings.TELEMETRY and len(set(ports.values())) < len(ports):
        yield _error(11, f"{', '.join(f'{name} ({port})' for name, port in ports.items())} must be three ports.")
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < MIN_TOKEN:
        yield _error(12, f"METRICS_TOKEN has fewer than {MIN_TOKEN} characters; make a longer one.")
    dsn = os.environ.get("SENTRY_DSN", "")
    if dsn and not (urlsplit(dsn).scheme in ("http", "https") and urlsplit(dsn).username and urlsplit(dsn).hostname):
        yield _error(13, "SENTRY_DSN is not of the form https://key@host/project.")
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        yield _error(14, "OTEL_EXPORTER_OTLP_ENDPOINT must begin with http:// or https:// (OTLP over HTTP).")
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") != "http/protobuf":
        yield _error(15, "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf; gRPC is not installed.")


def _pool() -> Iterator[CheckMessage]:
    pool = settings.DATABASES["default"].get("OPTIONS", {}).get("pool")
    if not isinstance(pool, dict):
        return
    if pool["min_size"] > pool["max_size"]:
        sizes = f"DB_POOL_MIN_SIZE ({pool['min_size']}) is more than DB_POOL_MAX_SIZE ({pool['max_size']})"
        yield _error(20, f"{sizes}; lower the one or raise the other.")
    if not 0 < pool["timeout"] <= 30:
        yield _error(21, f"DB_POOL_TIMEOUT is {pool['timeout']:g}; it must be more than 0 and at most 30 seconds.")


def _production() -> Iterator[CheckMessage]:
    if len(os.environ.get("SECRET_KEY", "")) < MIN_SECRET:  # settings.SECRET_KEY raises when it is empty
        yield _error(30, f"SECRET_KEY must have {MIN_SECRET} characters or more in production.")
    if not settings.ALLOWED_HOSTS:
        yield _error(31, "ALLOWED_HOSTS is empty; name the hosts that customers use, separated by commas.")
    if "*" in settings.ALLOWED_HOSTS:
        yield _error(32, "ALLOWED_HOSTS contains *, which lets a client choose the host in our links.")
    site = urlsplit(settings.SITE_URL)
    if site.scheme != "https" or not site.hostname:
        yield _error(33, f"SITE_URL is {settings.SITE_URL!r}; it must begin with https:// in production.")
    elif settings.ALLOWED_HOSTS and not any(_matches(site.hostname, host) for host in settings.ALLOWED_HOSTS):
        yield _error(34, f"SITE_URL's host {site.hostname} is not in ALLOWED_HOSTS, so the links we e-mail would fail.")
    if not os.environ.get("EMAIL_URL"):
        yield _error(35, "EMAIL_URL is not set; without it no customer gets a confirmation.")
    if bool(os.environ.get("STRIPE_SECRET_KEY")) != bool(os.environ.get("STRIPE_WEBHOOK_SECRET")):
        yield _error(36, "STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET belong together; one is missing.")
    for name in ("STRIPE_API_BASE", "STRIPE_CHECKOUT_ORIGIN"):
        if not getattr(settings, name).startswith("https://"):
            yield _error(39, f"{name} is {getattr(settings, name)!r}; money goes over https:// alone in production.")
    if not settings.TRUSTED_PROXIES:
        text = "TRUSTED_PROXIES is empty: behind a proxy every request looks like plain HTTP from the proxy's address."
        yield Warning(text, id="telemetry.W030")
    if settings.RELEASE == "development":
        yield Warning("RELEASE is not set; errors and metrics will not tell releases apart.", id="telemetry.W031")


def _matches(host: str, pattern: str) -> bool:
    return host == pattern or (pattern.startswith(".") and (host.endswith(pattern) or host == pattern[1:]))


def _error(number: int, message: str) -> Error:
    return Error(message, id=f"telemetry.E{number:03}")
