"""Spans around what the business does, which knows nothing of it."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from bookings import scheduling
from bookings.payments import checkout, settling, stripe_api, webhooks
from telemetry import traces

P = ParamSpec("P")
R = TypeVar("R")


_TRACED = {
    scheduling: "scheduling",
    checkout: "payments.checkout",
    settling: "payments.settling",
    webhooks: "payments.webhooks",
    stripe_api: "stripe",
}


def trace_business() -> None:
    """Wrap every public function of these modules and packages; call it before anything has imported them by name."""
    for module, prefix in _TRACED.items():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if f"{function.__module__}.".startswith(f"{module.__name__}.") and not name.startswith("_"):
                setattr(module, name, traced(f"{prefix}.{name}", function))


def traced(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """`function` inside a span of that name; an exception marks the span with its class."""

    @wraps(function)
    def inside_span(*args: P.args, **kwargs: P.kwargs) -> R:
        with traces.span(name):
            return function(*args, **kwargs)

    return inside_span
