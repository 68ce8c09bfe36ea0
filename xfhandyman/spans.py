"""Spans around the scheduling functions, which know nothing of it."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from bookings import scheduling
from telemetry import tracing

P = ParamSpec("P")
R = TypeVar("R")


def trace_scheduling() -> None:
    """Wrap every public function of `bookings.scheduling`; to be called before anything has imported them by name."""
    for name, function in inspect.getmembers(scheduling, inspect.isfunction):
        if function.__module__ == scheduling.__name__ and not name.startswith("_"):
            setattr(scheduling, name, traced(f"scheduling.{name}", function))


def traced(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """`function` inside a span of that name; an exception marks the span with its class."""

    @wraps(function)
    def inside_span(*args: P.args, **kwargs: P.kwargs) -> R:
        with tracing.span(name):
            return function(*args, **kwargs)

    return inside_span
