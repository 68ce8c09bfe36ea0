"""Who sends: a coarse device class, whether it is a machine, and how often it may send."""

import ipaddress
import re
import time
from collections import OrderedDict
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

_HOUSEHOLD = 64
"""Bits of the IPv6 network that one household has."""
_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk|Android(?!.*Mobile)")
_MOBILE = re.compile(r"Mobi|iPhone|iPod|Android")
_MACHINE = re.compile(
    r"bot\b|bot[/;]|crawl|spider|slurp|headless|lighthouse|phantom|preview|monitor|python|curl|wget|httpclient", re.I
)


_BROWSERS = (
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"(?:OPR|OPiOS)/(\d+)")),
    ("Samsung Internet", re.compile(r"SamsungBrowser/(\d+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"(?:Chrome|CriOS|Chromium)/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+)[\d.]* (?:Mobile/\w+ )?Safari/")),
)
"""Most name others besides themselves; the first that is found is it."""
FAMILIES = tuple(name for name, _ in _BROWSERS)
_SYSTEMS = (
    ("Windows", re.compile("Windows")),
    ("Android", re.compile("Android")),
    ("iOS", re.compile("iPhone|iPad|iPod")),
    ("macOS", re.compile("Mac OS X")),
    ("ChromeOS", re.compile("CrOS")),
    ("Linux", re.compile("Linux")),
)


class Browser(NamedTuple):
    """The family ("other" where it is none of six), its major version ("" then), and the operating system's family."""

    family: str
    version: str
    system: str


class Sender(NamedTuple):
    """Who sent a beacon: the address, the device class ("mobile", "tablet", "desktop"), the Host and the
    origin that it was sent to, the browser."""

    address: str
    device: str
    host: str
    origin: str
    browser: Browser

    @staticmethod
    def of(headers: dict[str, str], origin: str = "") -> "Sender":
        """The sender of a request; `headers` is `request.META`, `origin` the site's where the Host is one of its."""
        host = headers.get("HTTP_HOST", "")
        return Sender(headers.get("REMOTE_ADDR", ""), device(headers), host, origin, browser(headers))


def device(headers: dict[str, str]) -> str:
    """ "mobile", "tablet" or "desktop". `headers` is `request.META`; nothing finer is looked at."""
    kind = _judged(headers.get("HTTP_USER_AGENT", "")[:500])[0]
    return "mobile" if kind == "desktop" and headers.get("HTTP_SEC_CH_UA_MOBILE") == "?1" else kind


def browser(headers: dict[str, str]) -> Browser:
    """The browser by its user agent. `headers` is `request.META`."""
    return _browser(headers.get("HTTP_USER_AGENT", "")[:500])


@lru_cache(maxsize=512)
def _browser(agent: str) -> Browser:
    family, version = next(
        ((name, match[1][:4]) for name, pattern in _BROWSERS if (match := pattern.search(agent))), ("other", "")
    )
    return Browser(family, version, next((name for name, pattern in _SYSTEMS if pattern.search(agent)), "other"))


def is_machine(headers: dict[str, str]) -> bool:
    """Whether the sender says it is a crawler, a checker or a script, or does not say what it is."""
    return _judged(headers.get("HTTP_USER_AGENT", "")[:500])[1]


def opted_out(headers: dict[str, str]) -> bool:
    """Whether the browser sends Global Privacy Control or Do Not Track. `headers` is `request.META`."""
    return headers.get("HTTP_SEC_GPC") == "1" or headers.get("HTTP_DNT") == "1"


@lru_cache(maxsize=512)
def _judged(agent: str) -> tuple[str, bool]:
    """The device class an agent names, and whether it is a machine: most customers share a few agents."""
    kind = "tablet" if _TABLET.search(agent) else "mobile" if _MOBILE.search(agent) else "desktop"
    return kind, not agent or bool(_MACHINE.search(agent))


@lru_cache(maxsize=8192)
def network(address: str, length: int) -> str:
    """The address; of IPv6 the network of `length` bits around it. What is no address stands for itself.

    An IPv4 address that a dual-stack socket wrote as IPv6 is the IPv4 one: the network around it holds all of them.
    """
    if ":" not in address:
        return address
    try:
        known = ipaddress.IPv6Address(address)
        return str(known.ipv4_mapped or ipaddress.ip_network((known, length), strict=False))
    except ValueError:
        return address


class RateLimit:
    """A token bucket for each client and one for all, in this process. Addresses are kept in memory and no longer.

    `per_client` and `overall` are beacons per second, sustained; a burst may hold ten seconds' worth.
    """

    def __init__(self, per_client: float, overall: float, clients: int = 10_000) -> None:
        self._rates = (per_client, overall)
        self._limit, self._lock = clients, Lock()
        self._buckets = OrderedDict[str, tuple[float, float]]()
        self._all = (10 * overall, time.monotonic())

    def wait(self, client: str) -> int:
        """0 when the client may send now, else the whole seconds until it may."""
        now, client = time.monotonic(), network(client, _HOUSEHOLD)
        per_client, overall = self._rates
        with self._lock:
            mine = self._refill(self._buckets.get(client), now, per_client)
            everyone = self._refill(self._all, now, overall)
            if min(mine, everyone) < 1:
                rate = per_client if mine < 1 else overall
                return max(1, round((1 - min(mine, everyone)) / rate))
            self._buckets[client] = (mine - 1, now)
            self._buckets.move_to_end(client)
            self._all = (everyone - 1, now)
            if len(self._buckets) > self._limit:
                self._buckets.popitem(last=False)
        return 0

    @staticmethod
    def _refill(bucket: tuple[float, float] | None, now: float, rate: float) -> float:
        level, since = bucket or (10 * rate, now)
        return min(10 * rate, level + (now - since) * rate)
