"""A customer of a running site: pages, bookings and beacons over one kept-alive connection."""

import gzip
import http.client
import json
import time
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from urllib.parse import urlencode, urlsplit

SERVICE = "tap-repair"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"}
UNLIMITED = {
    "UNPROVEN_BOOKINGS_PER_ADDRESS": "1000000",
    "UNPROVEN_BOOKINGS_PER_CLIENT": "1000000",
    "RATE_LIMIT_BOOKING": "1000000/s 1000000/s",
    "RATE_LIMIT_AVAILABILITY": "1000000/s 1000000/s",
    "RUM_RATE": "1000000",
    "RUM_RATE_PER_CLIENT": "1000000",
}
"""The environment of a site that takes this much from one address."""

_CSRF = "benchmark0123456789benchmark0123"  # any 32 letters and digits: the form's has only to equal the cookie's

_IDLE = 3.0
"""Seconds after which a new connection is opened: the server closes an idle one after five."""


class Customer:
    """One browser. Every method returns the status, except where it says otherwise."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._headers = {**BROWSER, "Accept": "text/html", "Accept-Encoding": "gzip", **(headers or {})}
        self._used = 0.0
        self.location = ""
        """Where the last answer led to, if it was a redirect."""
        self._slots: Iterator[str] = iter(())

    def send(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        if time.monotonic() - self._used > _IDLE:
            self._connection.close()  # it opens again by itself
        self._connection.request(method, path, body or None, {**self._headers, **(headers or {})})
        answer = self._connection.getresponse()
        content = answer.read()
        self.location = answer.headers.get("Location", "")
        self._used = time.monotonic()
        return answer.status, content

    def service_page(self) -> int:
        return self.send("GET", f"/services/{SERVICE}/")[0]

    def service_page_with_postcode(self) -> int:
        return self.send("GET", f"/services/{SERVICE}/?postcode=SE15+4QL")[0]

    def booking_page(self) -> int:
        return self.send("GET", f"/book/{SERVICE}/")[0]

    def book_next(self) -> int:
        """Book the next of the slots that `find_slots` has found."""
        return self.book(next(self._slots))

    def book(self, start: str) -> int:
        form = {
            "csrfmiddlewaretoken": _CSRF,
            "key": uuid.uuid4().hex,
            "start": start,
            "offer": self.offer(),
            "customer_name": "Ada Benchmark",
            "customer_email": "ada@example.com",
            "customer_phone": "020 7946 0999",
            "address": "1 Measured Mile",
            "postcode": "SE1 7PB",
            "consent": "on",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrf={_CSRF}"}
        return self.send("POST", f"/book/{SERVICE}/details/", urlencode(form), headers)[0]

    @cache  # noqa: B019 - few customers, as long-lived as the run
    def offer(self) -> str:
        """The price that this customer was shown, as the form sends it."""
        _, body = self.send("GET", f"/api/availability?service={SERVICE}", headers={"Accept": "application/json"})
        offer: str = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)["offer"]
        return offer

    def find_slots(self) -> list[str]:
        """Every free instant, in order, as the form sends it. `book_next` takes those two hours apart."""
        starts: list[str] = []
        for week in range(8):
            first = date.today() + timedelta(weeks=week)
            path = f"/api/availability?service={SERVICE}&week={first}&postcode=SE1+7PB"
            status, body = self.send("GET", path, headers={"Accept": "application/json", "Accept-Encoding": ""})
            assert status == 200, (status, body)
            starts += [slot["start"] for day in json.loads(body)["days"] for slot in day["slots"]]
        starts = sorted(set(starts))
        self._slots = iter(starts[::2])
        return starts
