"""How much of a number one client may be: clients are counted, not what they send.

A client is an IPv4 address or an IPv6 /48, which is what one line may have of its own. Only a keyed hash of it is kept,
in memory, under a key that ends with the process. All workers of a host count together; hosts count apart.
"""

import time

from telemetry import shared_table
from telemetry.conf import conf
from telemetry.rum.clients import network

_LINE = 48
"""Bits of the IPv6 network that one line may have of its own."""


def first(client: str, what: str, wanted: int) -> int:
    """The bits of `wanted` for which this client has not counted within RUM_CLIENT_WINDOW; they now have.

    `client` is an address; `what` names the page or thing the bits belong to. All of them with a window of 0.
    """
    window = conf.rum_client_window
    if not window:
        return wanted
    now = time.time()
    key = shared_table.key(f"{network(client, _LINE)} {what}")
    before = shared_table.counts.update(key, now, now - window, lambda counted: counted | wanted)
    return 0 if before is None else wanted & ~before


def within(client: str, what: str, most: int) -> bool:
    """Whether this is one of the `most` of a client that are let through within RUM_CLIENT_WINDOW; all with 0."""
    window = conf.rum_client_window
    return not window or shared_table.among(f"{network(client, _LINE)} {what}", most, window)
