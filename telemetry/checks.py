"""What is wrong with telemetry's configuration, a warning each of `manage.py check`. Ids are stable.

Warnings and no errors: what is wrong is not used, and telemetry stops no host from starting.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning, register

from telemetry import errors, traces
from telemetry.conf import MIDDLEWARE, conf, middleware_at


@register
def check_configuration(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Every fault of TELEMETRY, and of the OTEL_* and SENTRY_* variables."""
    return [*_values(), *_parts()] if conf.enabled else list(_values())


@register(deploy=True)
def check_release(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """What works without, and is worth having where it is deployed: a warning of `manage.py check --deploy`."""
    if not conf.enabled or conf.environment != "production" or conf.release != "development":
        return []
    return [_warning(4, "RELEASE is not set; errors and metrics will not tell releases apart.")]


def _values() -> Iterator[CheckMessage]:
    for problem in conf.problems():
        yield _warning(1, str(problem))
    for key in conf.unknown():
        yield _warning(2, f"{key!r} in settings.TELEMETRY is no setting of telemetry.")
    if conf.metrics_port == conf.worker_metrics_port:
        yield _warning(3, f"METRICS_PORT and WORKER_METRICS_PORT are both {conf.metrics_port}; they must differ.")


def _parts() -> Iterator[CheckMessage]:
    for fault in traces.faults():
        yield _warning(10, f"{fault} Tracing stays off.")
    for fault in errors.faults():
        yield _warning(11, f"{fault} Error reports stay off.")
    if middleware_at() is None:
        yield _warning(20, f"{MIDDLEWARE} is not in MIDDLEWARE: no request is observed.")


def _warning(number: int, message: str) -> Warning:
    return Warning(message, id=f"telemetry.W{number:03}")
