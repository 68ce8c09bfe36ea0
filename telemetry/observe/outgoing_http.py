"""The request id goes along on every outgoing HTTP call, so that the other side's logs can be matched with ours.

`requests`, urllib3 and urllib all send through the standard library's `HTTPConnection`, so its last step before the
body is the one place to add a header. What a caller has set itself stays.
"""

from http.client import HTTPConnection
from typing import Any

from telemetry.context import current

HEADER = "X-Request-ID"
_put_header, _end_headers = HTTPConnection.putheader, HTTPConnection.endheaders


def install() -> None:
    """Add the header from now on, in this process."""
    HTTPConnection.putheader = _noting  # type: ignore[method-assign]  # that is the point
    HTTPConnection.endheaders = _adding  # type: ignore[method-assign]  # ditto


def _noting(self: HTTPConnection, header: Any, *values: Any) -> None:
    if (header.decode("latin-1") if isinstance(header, bytes) else header).lower() == HEADER.lower():
        self._has_request_id = True  # type: ignore[attr-defined]  # ours, on their object
    _put_header(self, header, *values)


def _adding(self: HTTPConnection, *body: Any, **options: Any) -> None:
    observation = current()
    if observation is not None and not self.__dict__.pop("_has_request_id", False):
        _put_header(self, HEADER, observation.request_id)
    _end_headers(self, *body, **options)
