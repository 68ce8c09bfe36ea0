"""The signed token of a page: what the server knows about it, so that nothing the browser says becomes a label.

Written into every page, so it is made of C calls: JSON, base64 and one signature.
"""

import random
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

import orjson
from django.http import HttpRequest

from telemetry import shared_table, signing
from telemetry.conf import conf
from telemetry.observe.routes import route_name

MAX_AGE = 24 * 3600
"""Seconds a page may be open before its beacon is stale."""

MOST_BEACONS = 64
"""Beacons one page may send: they are numbered from 0, and each number is good once."""

OTHER = "other"
_PURPOSE = "telemetry.rum"


class PageToken(NamedTuple):
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
    nonce = f"{random.getrandbits(64):016x}"  # tells pages apart; it is the signature that cannot be guessed
    page = urlsafe_b64encode(orjson.dumps([route, trace_id, span_id, sampled, conf.release, began, nonce]))
    return (page + b":" + signing.signature(_PURPOSE, page)).decode()


def of_page(request: HttpRequest) -> str:
    """The token that stands in the page which answers `request`; a new one for a page without the beacon."""
    written: str = getattr(request, "page_token", "")
    return written or issue(route_name(request))


def read(text: str) -> PageToken:
    """The page of a token, or UNVERIFIED where it is missing, forged or older than MAX_AGE."""
    page, _, signature = text.encode(errors="replace").partition(b":")
    if not signing.is_signed(_PURPOSE, page, signature):
        return UNVERIFIED
    token = PageToken(*orjson.loads(urlsafe_b64decode(page)))
    return token if time.time() - token.started <= MAX_AGE else UNVERIFIED


def first(page: PageToken, number: int) -> bool:
    """Whether no worker of this host has seen this page's beacon of that number before (MOST_BEACONS at most).

    A page that has been forgotten, because 32,768 newer ones sent beacons, cannot be known and counts as seen.
    """
    if number >= MOST_BEACONS:
        return False
    bit = 1 << number
    since = time.time() - MAX_AGE
    before = shared_table.pages.update(int(page.nonce, 16), page.started, since, lambda seen: seen | bit)
    return before is not None and not before & bit
