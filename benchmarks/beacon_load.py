"""Sends beacons at an even pace: `python -m benchmarks.beacon_load URL PER_SECOND`, one body on each line of stdin."""

import http.client
import sys
import time
from threading import Thread
from urllib.parse import urlsplit

from benchmarks.customers import BROWSER

HEADERS = {**BROWSER, "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
_SENDERS = 4


def client(number: int) -> dict[str, str]:
    """The header by which a trusted proxy tells one client from another."""
    return {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}


def _send(url: str, bodies: list[str], per_second: float, later: float) -> None:
    """Each of them once, and from the beginning again; what cannot be sent in time is sent as soon as it can be.

    `later`: seconds by which this sender comes after the first, or all would send at the same instants.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    began, sent = time.perf_counter() + later, 0
    while True:
        time.sleep(max(0.0, began + sent / per_second - time.perf_counter()))
        connection.request("POST", parts.path, bodies[sent % len(bodies)], HEADERS | client(sent))
        connection.getresponse().read()
        sent += 1


def main() -> None:
    """Until it is ended."""
    url, per_second = sys.argv[1], float(sys.argv[2])
    bodies = sys.stdin.read().splitlines()
    for number in range(_SENDERS):
        share = bodies[number::_SENDERS]
        Thread(target=_send, args=(url, share, per_second / _SENDERS, number / per_second), daemon=True).start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
