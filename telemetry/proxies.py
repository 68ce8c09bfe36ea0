"""Who the client is: the connection's peer, or what a proxy we trust says. Runs with telemetry off too."""

import ipaddress
from collections.abc import Callable, Iterable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_FORWARDED",
)


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """TRUSTED_PROXIES as networks; an address is a network of one. Raises ValueError for anything else."""
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in entries)


def client_address(peer: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    """The nearest address that is not a trusted proxy, going back from `peer` through X-Forwarded-For."""
    client = peer
    for hop in reversed([peer_or_hop.strip() for peer_or_hop in forwarded_for.split(",")] + [peer]):
        try:
            address = ipaddress.ip_address(hop)
        except ValueError:
            break
        client = hop
        if not any(address in network for network in trusted):
            break
    return client


def trusts(peer: str, trusted: tuple[Network, ...]) -> bool:
    """Whether `peer` (the connection's other end) is one of our proxies. A Unix socket has no address: it is."""
    if not peer:
        return bool(trusted)
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in trusted)


class TrustedProxyMiddleware:
    """Puts the client's address in REMOTE_ADDR; without a trusted proxy, forgets every forwarding header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.trusted = networks(settings.TRUSTED_PROXIES)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        peer = meta.get("REMOTE_ADDR", "")
        if trusts(peer, self.trusted):
            meta["REMOTE_ADDR"] = client_address(peer, meta.get("HTTP_X_FORWARDED_FOR", ""), self.trusted) or "0.0.0.0"  # noqa: S104  # no address is known, nothing is bound
        else:
            for header in (*_FORWARDED, "HTTP_X_REQUEST_ID"):
                meta.pop(header, None)
        return self.get_response(request)
