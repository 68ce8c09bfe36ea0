"""Numbers and addresses of the environment that would break the site later, told before it starts."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from xfhandyman.security.proxies import networks

# Variable → setting, the least and the most that make sense (None: no limit).
_BOUNDS: dict[str, tuple[float, float | None]] = {
    "WEB_THREADS": (1, None),
    "DB_STATEMENT_TIMEOUT": (0, None),  # 0 is for migrations that take long
    "ARRIVAL_WINDOW_MINUTES": (5, 24 * 60),
    "BOOKING_STEP_MINUTES": (5, 24 * 60),  # every step of a day is gone through
    "BOOKING_NOTICE_HOURS": (0, None),
    "BOOKING_HORIZON_DAYS": (1, 730),
    "BOOKING_CHANGE_HOURS": (0, None),
    "BOOKING_LINK_DAYS": (1, None),
    "RUM_SAMPLE_RATE": (0, 1),
    "RUM_RETENTION_DAYS": (1, None),
}


@register
def check_environment(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Every value that cannot be meant, a line each."""
    return [*_numbers(), *_workers(), *_proxies()]


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


def _proxies() -> Iterator[CheckMessage]:
    try:
        networks(settings.TRUSTED_PROXIES)
    except ValueError as error:
        yield Error(f"TRUSTED_PROXIES must be addresses or networks: {error}.", id="xfhandyman.E012")
