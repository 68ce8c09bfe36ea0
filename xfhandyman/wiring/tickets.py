"""What of this site wears out slowly: its certificate, and its backups."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from django.conf import settings

from telemetry.tickets import Ticket, register
from xfhandyman.backups import archive

EXPIRES, DAY, HOUR = 14 * 86_400.0, 86_400.0, 3600.0
"""Seconds before a certificate ends in which it should have been renewed."""
TIMEOUT = 5.0


def register_tickets() -> None:
    """Have them asked once an hour."""
    register("certificate", lambda: certificate(settings.SITE_URL, time.time()))
    register("backups", lambda: backups(settings.DATA_DIR / "backups", time.time()))
    register("waitlist", _waitlist)


def _waitlist() -> Iterator[Ticket]:
    from xfhandyman.wiring import waitlist  # when it is used: a process starts sooner without it

    return waitlist.tickets()


def certificate(site: str, at: float) -> Iterator[Ticket]:
    """The certificate of the site's own address, where that is https. Raises OSError when nobody answers there."""
    parts = urlsplit(site)
    if parts.scheme != "https" or not parts.hostname:
        return
    name = parts.hostname
    try:
        with (
            socket.create_connection((name, parts.port or 443), TIMEOUT) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=name) as secure,
        ):
            ends = ssl.cert_time_to_seconds(str((secure.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        yield Ticket("certificate", name, f"Browsers refuse the certificate of {name}: {error.verify_message}.")
        return
    if ends - at < EXPIRES:
        yield Ticket("certificate", name, f"The certificate of {name} ends on {_day(ends)} and was not renewed.")


def backups(directory: Path, at: float) -> Iterator[Ticket]:
    """Backups that were made here, and are made no more, or were interrupted. `at`: Unix seconds."""
    made, begun = ([moment.timestamp() for moment in moments] for moments in archive.history(directory))
    if begun and max(begun) < at - HOUR and max(begun) > max(made, default=0.0):
        yield Ticket("backup", "interrupted", f"The backup that began on {_day(max(begun))} was not finished.")
    every = max(median([later - one for one, later in pairwise(made)] or [DAY]), DAY)
    if made and at - made[-1] > 2 * every:
        yield Ticket("backup", "late", f"The last backup was made on {_day(made[-1])}; there should be a newer one.")


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%d %B %Y}"
