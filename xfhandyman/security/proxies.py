"""Who the client is: the connection's peer, or what a proxy we trust says. Runs with telemetry off too."""

import ipaddress
import re
from collections.abc import Callable, Iterable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from telemetry.context import TRUSTED_CALLER

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_IPV4_INSIDE = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](:\d{1,5})?|(?P<v4>[\d.]+):\d{1,5}")
_FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_FORWARDED",
)


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """TRUSTED_PROXIES as networks; an address is a network of one. Raises ValueError for anything else."""
    return tuple(_unmapped(ipaddress.ip_network(entry, strict=False)) for entry in entries)


def read_address(text: str) -> Address | None:
    """The address that `text` names: `192.0.2.1`, `2001:db8::1`, either with a port (`[2001:db8::1]:443`) or a zone.

    An IPv4 address inside an IPv6 one (a dual-stack socket, NAT64) is the IPv4 address: the /64 around it holds
    everybody on IPv4. None for anything else.
    """
    match = _WITH_PORT.fullmatch(text.strip())
    try:
        address = ipaddress.ip_address((match["v6"] or match["v4"] if match else text.strip()).partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _IPV4_INSIDE):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def client_address(peer: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    """The nearest address that is not a trusted proxy, going back from `peer` through X-Forwarded-For.

    Written in one way, however the proxies wrote it; `peer` as it is when that is no address.
    """
    client = peer
    for hop in (*([peer] if peer else []), *reversed(forwarded_for.split(","))):
        address = read_address(hop)
        if address is None:
            break
        client = str(address)
        if not any(address in network for network in trusted):
            break
    return client


def trusts(peer: str, trusted: tuple[Network, ...]) -> bool:
    """Whether `peer` (the connection's other end) is one of our proxies. A Unix socket has no address: it is."""
    if not peer:
        return bool(trusted)
    address = read_address(peer)
    return address is not None and any(address in network for network in trusted)


def _unmapped(network: Network) -> Network:
    for around in _IPV4_INSIDE:
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(around):
            inside = ipaddress.IPv4Address(int(network.network_address) & 0xFFFF_FFFF)
            return ipaddress.IPv4Network((inside, network.prefixlen - around.prefixlen))
    return network


class TrustedProxyMiddleware:
    """Puts the client's address in REMOTE_ADDR; without a trusted proxy, forgets every forwarding header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.trusted = networks(settings.TRUSTED_PROXIES)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        peer = meta.get("REMOTE_ADDR", "")
        meta[TRUSTED_CALLER] = trusted = trusts(peer, self.trusted)
        if not trusted:
            for header in (*_FORWARDED, "HTTP_X_REQUEST_ID"):
                meta.pop(header, None)
        client = client_address(peer, meta.get("HTTP_X_FORWARDED_FOR", ""), self.trusted)
        meta["REMOTE_ADDR"] = client or ("0.0.0.0" if trusted else "")  # noqa: S104  # no address is known, nothing is bound
        return self.get_response(request)
