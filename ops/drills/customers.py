"""The steady load: people who browse, and some who book."""

import re
import threading
from contextlib import suppress
from itertools import count

import requests

PAGES = ("/", "/services/", "/services/tap-repair/", "/book/tap-repair/", "/contact/")
_numbers = count()


class Customers:
    """`browsers` clients that ask for one page after another, and one who books now and then."""

    def __init__(self, url: str, *, browsers: int = 3, pause: float = 0.5) -> None:
        self.url = url
        self._pause = pause
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._browse, daemon=True) for _ in range(browsers)]
        self._threads.append(threading.Thread(target=self._book_again, daemon=True))
        self.slug = "tap-repair"

    def __enter__(self) -> "Customers":
        found = re.search(r'href="/services/([\w-]+)/"', requests.get(f"{self.url}/services/", timeout=10).text)
        self.slug = found[1] if found else self.slug
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def surge(self, path: str, clients: int, seconds: float) -> None:
        """That many more clients, who ask for one page without a pause; returns after `seconds`."""
        over = threading.Event()

        def ask() -> None:
            with requests.Session() as session:
                while not over.is_set() and not self._ended.is_set():
                    with suppress(requests.RequestException):
                        session.get(self.url + path, timeout=20)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        over.wait(seconds)
        over.set()

    def _browse(self) -> None:
        with requests.Session() as session:
            while True:
                for page in PAGES:
                    with suppress(requests.RequestException):
                        session.get(self.url + page.replace("tap-repair", self.slug), timeout=20)
                    if self._ended.wait(self._pause):
                        return

    def _book_again(self) -> None:
        while not self._ended.wait(4):
            with suppress(requests.RequestException, ValueError, KeyError):
                self.book()

    def book(self) -> int:
        """Book the next free time; the status of the last answer. Raises requests.RequestException."""
        with requests.Session() as session:
            week = session.get(f"{self.url}/api/availability?service={self.slug}", timeout=20).json()
            page = f"{self.url}/book/{self.slug}/details/?start={requests.utils.quote(week['next_free'])}"
            form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', session.get(page, timeout=20).text))
            form |= {
                "customer_name": f"Drill {next(_numbers)}",
                "customer_email": "robin@example.com",
                "customer_phone": "07700 900200",
                "address": "1 Sample Street\nLondon",
                "postcode": "SE1 7PB",
                "notes": "",
                "consent": "on",
            }
            return session.post(page.partition("?")[0], data=form, timeout=20).status_code
