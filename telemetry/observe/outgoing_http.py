"""Outgoing HTTP calls: accounted by host, and sent with the request id and `traceparent`, so that the other side's logs
and spans match ours.

`requests`, urllib3 and urllib all send through the standard library's `HTTPConnection`, so its steps are the one place
to observe. What a caller, or an instrumentation of its library, has set itself stays.
"""

import time
from collections.abc import Callable
from functools import wraps
from http.client import HTTPConnection
from threading import Lock
from typing import Any

from telemetry import errors, traces
from telemetry.context import current
from telemetry.metrics.labels import BoundedLabel

HEADER = "X-Request-ID"
MOST_HOSTS = 50
"""Distinct hosts that are told apart; the rest are "other"."""
_make, _put_header, _end_headers = HTTPConnection.__init__, HTTPConnection.putheader, HTTPConnection.endheaders
_known: set[type[HTTPConnection]] = set()
_one_at_a_time = Lock()
_host = BoundedLabel(MOST_HOSTS)


def install() -> None:
    """Observe from now on, in this process."""
    HTTPConnection.__init__ = _making  # type: ignore[method-assign]  # that is the point
    HTTPConnection.putheader = _noting  # type: ignore[method-assign]  # as above
    HTTPConnection.endheaders = _accounted(_adding, operations=0)  # type: ignore[method-assign]  # as above
    HTTPConnection.getresponse = _accounted(HTTPConnection.getresponse, operations=1)  # type: ignore[method-assign]  # as above


def _making(self: HTTPConnection, *values: Any, **options: Any) -> None:
    if type(self) not in _known:
        _account_connecting(type(self))
    _make(self, *values, **options)


def _account_connecting(kind: type[HTTPConnection]) -> None:
    """Libraries have classes with a `connect` of their own, which are not to be imported where nobody calls anybody."""
    with _one_at_a_time:
        for each in reversed(kind.__mro__):
            if each not in _known and issubclass(each, HTTPConnection):
                if "connect" in vars(each):
                    each.connect = _accounted(each.connect, operations=0)  # type: ignore[method-assign]  # as above
                _known.add(each)


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
