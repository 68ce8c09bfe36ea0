"""Outgoing HTTP calls: accounted by host, and sent with the request id and `traceparent`, so that the other side's logs
and spans match ours.

`requests`, urllib3 and urllib all send through the standard library's `HTTPConnection`, so its steps are the one place
to observe. What a caller, or an instrumentation of its library, has set itself stays.
"""

import time
from collections.abc import Callable
from functools import wraps
from http.client import HTTPConnection, HTTPSConnection
from typing import Any

from telemetry import errors, traces
from telemetry.context import current
from telemetry.metrics.labels import BoundedLabel

HEADER = "X-Request-ID"
MOST_HOSTS = 50
"""Distinct hosts that are told apart; the rest are "other"."""
_put_header, _end_headers = HTTPConnection.putheader, HTTPConnection.endheaders
_host = BoundedLabel(MOST_HOSTS)


def install() -> None:
    """Observe from now on, in this process."""
    HTTPConnection.putheader = _noting  # type: ignore[method-assign]  # that is the point
    HTTPConnection.endheaders = _accounted(_adding, operations=0)  # type: ignore[method-assign]  # ditto
    HTTPConnection.getresponse = _accounted(HTTPConnection.getresponse, operations=1)  # type: ignore[method-assign]  # ditto
    for connecting in _connecting():
        connecting.connect = _accounted(connecting.connect, operations=0)


def _connecting() -> list[type[Any]]:
    """The classes with a `connect` of their own."""
    found: list[type[Any]] = [HTTPConnection, HTTPSConnection]
    try:
        from urllib3.connection import HTTPConnection as Plain
        from urllib3.connection import HTTPSConnection as Secure
    except ImportError:
        return found
    return [*found, Plain, Secure]


def _accounted(step: Callable[..., Any], operations: int) -> Callable[..., Any]:
    """A step of a call, whose time belongs to the call; `operations` is 1 for the step that ends it."""

    @wraps(step)
    def accounting(self: HTTPConnection, *values: Any, **options: Any) -> Any:
        observation = current()
        if observation is None:
            return step(self, *values, **options)
        observation.begin("http", _host(self.host), time.perf_counter())
        try:
            return step(self, *values, **options)
        finally:
            observation.end(time.perf_counter(), operations)
            if operations:
                errors.step("http", _host(self.host))

    return accounting


def _noting(self: HTTPConnection, header: Any, *values: Any) -> None:
    name = (header.decode("latin-1") if isinstance(header, bytes) else header).lower()
    self.__dict__.setdefault("_telemetry_headers", set()).add(name)  # ours, on their object
    _put_header(self, header, *values)


def _adding(self: HTTPConnection, *body: Any, **options: Any) -> None:
    observation = current()
    given = self.__dict__.pop("_telemetry_headers", ())
    if observation is not None:
        for name, value in {HEADER: observation.request_id, **traces.outgoing()}.items():
            if name.lower() not in given:
                _put_header(self, name, value)
    _end_headers(self, *body, **options)
