"""The signed token of a page: what the server knows about it, so that nothing the browser says becomes a label."""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from django.conf import settings
from django.core import signing

_SALT = "telemetry.rum"
MAX_AGE = 24 * 3600
"""Seconds a page may be open before its beacon is stale."""

OTHER = "other"


@dataclass(frozen=True, slots=True)
class PageToken:
    """One rendered page. Ids are lower-case hexadecimal or ""; `started` is when its request
    began, in seconds since the epoch by the server's clock."""

    route: str
    trace_id: str = ""
    span_id: str = ""
    sampled: bool = False
    release: str = ""
    started: float = 0.0
    nonce: str = ""

    @property
    def verified(self) -> bool:
        return bool(self.nonce)

    def in_sample(self, rate: float) -> bool:
        """Whether this page is among the `rate` (0 to 1) whose every record is kept; the same for all its beacons."""
        return self.verified and int(self.nonce, 16) < rate * 2**64


UNVERIFIED = PageToken(OTHER)


def issue(
    route: str, *, trace_id: str = "", span_id: str = "", sampled: bool = False, started: float | None = None
) -> str:
    """A token for a page being rendered now, whose request `started` (seconds since the epoch; now by default)."""
    began = round(started or time.time(), 3)
    page = [route, trace_id, span_id, int(sampled), settings.RELEASE, began, secrets.token_hex(8)]
    return signing.dumps(page, salt=_SALT)


def read(text: str) -> PageToken:
    """The page of a token, or UNVERIFIED where it is missing, forged or older than MAX_AGE."""
    try:
        route, trace_id, span_id, sampled, release, started, nonce = signing.loads(text, salt=_SALT, max_age=MAX_AGE)
    except signing.BadSignature:
        return UNVERIFIED
    return PageToken(route, trace_id, span_id, bool(sampled), release, started, nonce)


class Replays:
    """Remembers the last `limit` beacons seen by this process: a token is good once per view and part of its page."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit, self._seen, self._lock = limit, OrderedDict[tuple[str, int, int], None](), Lock()

    def first(self, page: PageToken, view: int, part: int) -> bool:
        """Whether this beacon is new; remembers it."""
        key = (page.nonce, view, part)
        with self._lock:
            if key in self._seen:
                return False
            self._seen[key] = None
            if len(self._seen) > self._limit:
                self._seen.popitem(last=False)
        return True
