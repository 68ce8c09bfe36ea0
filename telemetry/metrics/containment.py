"""A fault of the watching must not become a fault of what it watches."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec

from telemetry.logger import get_logger
from telemetry.metrics import catalogue

P = ParamSpec("P")
_told: set[tuple[str, type[Exception]]] = set()

log = get_logger(__name__)


def failsafe(pipeline: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Decorate a hook, so that an exception in it is counted in `telemetry_dropped_total` and goes no further.

    Each class of exception is logged once for each `pipeline` and process, so that a fault of every query fills no log.
    """

    def decorate(hook: Callable[P, None]) -> Callable[P, None]:
        @wraps(hook)
        def harmless(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                hook(*args, **kwargs)
            except Exception as error:
                with suppress(Exception):  # what failed may be the log itself
                    _tell(pipeline, error)

        return harmless

    return decorate


def _tell(pipeline: str, error: Exception) -> None:
    catalogue.telemetry_dropped.labels(pipeline, "internal_error").inc()
    if (pipeline, type(error)) not in _told:
        _told.add((pipeline, type(error)))
        log.warning("telemetry_failed", pipeline=pipeline, exc_info=error)
