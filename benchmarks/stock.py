"""Settings: the site watched by the usual packages, wired as their documentation says and nothing else.

django-prometheus with its middleware and database backend, django-structlog with JSON lines, OpenTelemetry's
instrumentation of Django and psycopg with a batch processor, Sentry for errors. Run with TELEMETRY=off.
"""

import os
from typing import Any

import sentry_sdk
import structlog

from xfhandyman.settings import *  # noqa: F403 - what Django's settings are made of
from xfhandyman.settings import DATABASES, INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = ["benchmarks.apps.Stock", "django_prometheus", "django_structlog", *INSTALLED_APPS]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    *MIDDLEWARE,
    "django_structlog.middlewares.RequestMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
DATABASES = {
    alias: {**database, "ENGINE": "django_prometheus.db.backends.postgresql"} for alias, database in DATABASES.items()
}

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING: Any = {  # type: ignore[no-redef] # it replaces theirs
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json_formatter": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(),
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json_formatter"}},
    "loggers": {"django_structlog": {"handlers": ["console"], "level": "INFO"}},
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)

sentry_sdk.init(dsn=os.environ.get("SENTRY_DSN"))
