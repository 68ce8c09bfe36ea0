"""The steady load: people who browse with browsers that report, some who book, call off, and write."""

import random
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Any

import requests

PAGES = ("/", "/services/", "/services/tap-repair/", "/book/tap-repair/", "/contact/")
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile/15E148 Safari/604"
LCP = 1.1
"""Seconds until a page has painted, as long as nothing is wrong."""
_numbers = count()


@dataclass
class Browsers:
    """What the customers' browsers go through, by path: seconds until painted, and where a script fails."""

    painted: dict[str, float] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)


class Customers:
    """`browsers` clients at a time that ask for one page after another, and two who book, call off or write to us."""

    def __init__(self, url: str, *, browsers: int = 3, pause: float = 0.5) -> None:
        self.url = url
        self.browsers = Browsers()
        self._pause = pause
        self.ended = threading.Event()
        self._turns = count()
        self._threads = [threading.Thread(target=self._browse, daemon=True) for _ in range(browsers)]
        self._threads += [threading.Thread(target=self._do_business, daemon=True) for _ in range(2)]
        self.slugs: list[str] = []

    def __enter__(self) -> "Customers":
        listed = requests.get(f"{self.url}/services/", timeout=30).text
        self.slugs = sorted(set(re.findall(r'href="/services/([\w-]+)/"', listed)))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join(30)

    def visit(self, session: requests.Session, path: str, *, fails: bool = False) -> str:
        """Open a page as a browser does, its report included; the HTML. Raises requests.RequestException.

        `fails`: a script fails in this browser, whatever happens in the others.
        """
        html = session.get(self.url + path, timeout=20).text
        if token := re.search(r'data-token="([^"]+)"', html):
            session.post(
                f"{self.url}/api/telemetry",
                json=self._report(token[1], path, fails or path in self.browsers.failing),
                headers={"Sec-Fetch-Site": "same-origin"},
                timeout=20,
            )
        return html

    def _report(self, token: str, path: str, fails: bool) -> dict[str, Any]:
        painted = self.browsers.painted.get(path, LCP) * 1000
        error = {"type": "TypeError", "message": "x is undefined", "file": path, "line": 1, "column": 1}
        return {
            "token": token,
            "view": 0,
            "part": 0,
            "navigation": "navigate",
            "age": 5000,
            "vitals": {"LCP": painted, "CLS": 0.02, "INP": 90, "FCP": 700, "TTFB": 120},
            # start and end of dns, connect, request, response, dom and load; then TLS
            "timings": [1, 5, 5, 20, 20, 140, 140, 180, 180, 600, 600, 900, 0],
            "fetches": [{"path": "/api/availability", "status": 200, "at": 900, "duration": 130}],
            "errors": [error] if fails else [],
        }

    def _browse(self) -> None:
        while True:
            with customer() as session:  # who has seen the pages goes, and somebody else comes
                for page in PAGES:
                    with suppress(requests.RequestException):
                        self.visit(session, page.replace("tap-repair", self.slugs[0]))
                    if self.ended.wait(self._pause):
                        return

    def _do_business(self) -> None:
        while not self.ended.wait(3):
            number = next(self._turns)
            slug = self.slugs[number % len(self.slugs)]
            with suppress(requests.RequestException, ValueError, KeyError, IndexError), customer() as session:
                if number % 6 == 4:
                    self.write(session)
                elif number % 6 == 5:
                    self.book(session, slug, start="2020-01-01T09:00:00Z")
                else:
                    # Most call off again: a diary of two months would be full within the hour.
                    self.call_off(session, self.book(session, slug))

    def book(self, session: requests.Session, slug: str, start: str = "") -> str:
        """Book a free time of next week, or try for `start`; the address of the confirmation, "" when it was refused.

        Raises requests.RequestException, and IndexError when the week is full.
        """
        week = {"service": slug, "week": (date.today() + timedelta(days=8)).isoformat()}
        found = session.get(f"{self.url}/api/availability", params=week, timeout=20).json()
        free = start or random.choice([slot["start"] for day in found["days"] for slot in day["slots"]])  # noqa: S311 - no secret
        page = f"{self.url}/book/{slug}/details/"
        opened = session.get(page, params={"start": free}, timeout=20).text
        answer = session.post(
            page,
            data=_hidden(opened)
            | {
                "start": free,
                "customer_name": "Robin Drill",
                "customer_email": "robin@example.com",
                "customer_phone": "07700 900200",
                "address": "1 Sample Street\nLondon",
                "postcode": "SE1 7PB",
                "notes": "",
                "consent": "on",
            },
            timeout=20,
            allow_redirects=False,
        )
        location = answer.headers.get("Location", "")
        if location and not location.startswith("/"):  # a deposit: pay it, and come back
            paid = session.post(location, data={"card": "4242424242424242"}, timeout=20, allow_redirects=False)
            location = paid.headers.get("Location", "").removeprefix(self.url)
        return location

    def call_off(self, session: requests.Session, confirmation: str) -> None:
        """Cancel the booking whose confirmation is at this address; nothing for ""."""
        if confirmation:
            page = self.url + re.sub(r"(confirmed|paid|pay)/.*$", "", confirmation)
            opened = session.get(page, timeout=20).text
            session.post(page, data=_hidden(opened) | {"action": "cancel"}, timeout=20, allow_redirects=False)

    def write(self, session: requests.Session) -> None:
        """Send a contact form."""
        page = f"{self.url}/contact/"
        opened = session.get(page, timeout=20).text
        topic = re.search(r'name="topic" value="(\w+)"', opened)
        session.post(
            page,
            data=_hidden(opened)
            | {
                "name": "Robin Drill",
                "email": "robin@example.com",
                "phone": "",
                "topic": topic[1] if topic else "other",
                "body": "Do you also repair garden gates?",
                "website": "",
            },
            timeout=20,
            allow_redirects=False,
        )


def customer() -> requests.Session:
    """A client with an address of its own, behind the trusted proxy that a real site has."""
    number = next(_numbers)
    session = requests.Session()
    session.headers["User-Agent"] = PHONE
    session.headers["X-Forwarded-For"] = f"198.18.{number // 250 % 250}.{number % 250 + 1}"
    return session


def _hidden(html: str) -> dict[str, str]:
    """The hidden fields of a page's forms."""
    fields = re.findall(r'<input\b[^>]*\btype="hidden"[^>]*>', html)
    pairs = [(re.search(r'name="([^"]*)"', each), re.search(r'value="([^"]*)"', each)) for each in fields]
    return {name[1]: value[1] for name, value in pairs if name and value}
