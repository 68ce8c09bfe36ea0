"""Customers who book through nginx and, when an answer fails to come, send the same form again."""

import json
import re
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlencode

import psycopg
from django.utils import timezone

from ops.scale.site import HOST, Site

SERVICE = "tap-repair"
POSTCODE = "SE1 7PB"  # given from the start, as the home page asks for it
_SKILLED = """
    SELECT handyman.slug FROM bookings_handyman AS handyman
    JOIN bookings_handyman_skills AS skill ON skill.handyman_id = handyman.id
    JOIN bookings_service AS service ON service.id = skill.service_id
    WHERE handyman.active AND service.slug = %s
"""
TRIES = 40
"""Of one request, before the customer gives up. A node that died is noticed within two of them."""


@dataclass(frozen=True)
class Window:
    """An arrival window of one handyman."""

    handyman: str
    start: str


@dataclass(frozen=True)
class Answer:
    """What a customer was told in the end: 302 is a booking, 409 a refusal. `sent`: how often the form was sent."""

    email: str
    window: Window
    status: int
    sent: int


@dataclass
class Client:
    """A kept-alive HTTPS connection through nginx, which is opened again whenever it breaks."""

    site: Site
    timeout: float = 20.0
    _connection: HTTPSConnection | None = field(default=None, init=False)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, HTTPResponse, str]:
        """One request, sent once: status, response and text. Raises OSError or HTTPException when it broke off."""
        if self._connection is None:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it was made a moment ago
            self._connection = HTTPSConnection(self.site.address, self.site.port, timeout=self.timeout, context=context)
        try:
            self._connection.request(method, path, body, {"Host": HOST, "Referer": f"https://{HOST}/", **headers})
            response = self._connection.getresponse()
            text = response.read().decode()
        except (OSError, HTTPException):
            self.close()
            raise
        return response.status, response, text

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def free_windows(site: Site, number: int) -> list[Window]:
    """So many free windows of those who do SERVICE, the soonest of each first."""
    with psycopg.connect(site.database_url) as connection:
        handymen = [slug for (slug,) in connection.execute(_SKILLED, [SERVICE]).fetchall()]
    client, found, day = Client(site), list[Window](), timezone.localdate()
    for _ in range(8):
        for handyman in handymen:
            asked = urlencode({"service": SERVICE, "handyman": handyman, "week": f"{day}", "postcode": POSTCODE})
            _, _, text = client.ask("GET", f"/api/availability?{asked}", Accept="application/json")
            days = json.loads(text)["days"]
            found += [Window(handyman, slot["start"]) for each in days for slot in each["slots"][::2]]
        if len(found) >= number:
            break
        day += timedelta(days=7)
    client.close()
    return found[:number]


def book_all(
    site: Site, windows: Sequence[Window], *, rivals: int, customers: int, booked: Callable[[int], None]
) -> list[Answer]:
    """`rivals` customers want each window, `customers` at a time; `booked` hears how many are acknowledged so far."""
    wanted = [(window, rival) for window in windows for rival in range(rivals)]
    done, lock = 0, threading.Lock()

    def book(numbered: tuple[int, tuple[Window, int]]) -> Answer:
        nonlocal done
        number, (window, rival) = numbered
        answer = _book(site, window, f"scale{number}.{rival}@example.com")
        if answer.status == 302:
            with lock:
                done += 1
                booked(done)
        return answer

    with ThreadPoolExecutor(customers) as pool:
        return list(pool.map(book, enumerate(wanted)))


def _book(site: Site, window: Window, email: str) -> Answer:
    client = Client(site)
    page = f"/book/{SERVICE}/details/"
    asked = urlencode({"start": window.start, "handyman": window.handyman, "postcode": POSTCODE})
    status, response, form, _ = _insist(client, "GET", f"{page}?{asked}")
    if response is None or status != 200:  # the rival was quicker than the page
        client.close()
        return Answer(email, window, status, 0)
    cookie = str(response.getheader("Set-Cookie")).partition(";")[0]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)) | {
        "customer_name": "Robin Example",
        "customer_email": email,
        "customer_phone": "07700 900123",
        "address": "1 Sample Street",
        "postcode": POSTCODE,
        "consent": "on",
    }
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    status, _, _, sent = _insist(client, "POST", page, urlencode(fields), **headers)
    client.close()
    return Answer(email, window, status, sent)


def _insist(
    client: Client, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, HTTPResponse | None, str, int]:
    """Send the same request until an answer is no failure: status (0: none came), response, text, tries."""
    for tried in range(1, TRIES + 1):
        try:
            status, response, text = client.ask(method, path, body, **headers)
        except (OSError, HTTPException):
            continue
        if status < 500:
            return status, response, text, tried
    return 0, None, "", TRIES
