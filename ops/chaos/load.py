"""The load: customers who book as a browser would, and readers of the pages that a fault must not touch.

A customer whose form got no clear answer presses the button again, with the very same form, until one comes.
"""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Literal
from urllib.parse import quote

import requests

Outcome = Literal["open", "acknowledged", "refused", "unknown"]
WEEKS = 40
"""Weeks ahead among which customers choose, so that slots last for every fault."""
TIMEOUT = 60.0
"""Seconds for which a customer presses the button again."""
CARD = "4242424242424242"
_HIDDEN = re.compile(r'type="hidden" name="(\w+)" value="([^"]*)"')
_numbers = count(1)


@dataclass
class Order:
    """One visit that one customer wants. `start` is ISO 8601; the e-mail address is this order's alone."""

    email: str
    slug: str
    start: str = ""
    outcome: Outcome = "open"


@dataclass
class Answers:
    """What came back, by class: a status ("503") or "reset", "timeout", "refused". Times of time.monotonic()."""

    classes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, path: str) -> None:
        with self._lock:
            self.classes[what] += 1
            if not what.isdigit() or what >= "500":
                self.failures.append((time.monotonic(), what, path))

    def failed(self) -> Counter[str]:
        return Counter(what for _, what, _ in self.failures)


def ask(
    session: requests.Session, method: str, url: str, answers: Answers, **options: object
) -> requests.Response | None:
    """One request, counted; None when no answer came."""
    path = "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]
    try:
        response = session.request(method, url, timeout=30, allow_redirects=False, **options)  # type: ignore[arg-type] # passed on
    except requests.Timeout:
        answers.add("timeout", path)
    except requests.ConnectionError as error:
        answers.add("refused" if "refused" in str(error) else "reset", path)
    else:
        answers.add(str(response.status_code), path)
        return response
    return None


def visitor(number: int) -> requests.Session:
    """A browser of its own, at an address of its own (the site trusts this proxy's word for it)."""
    session = requests.Session()
    session.trust_env = False  # no proxies of the environment
    session.headers["X-Forwarded-For"] = f"198.{18 + number % 2}.{number // 250 % 250}.{number % 250 + 1}"
    return session


def hidden_fields(page: str) -> dict[str, str]:
    """What a page's form sends besides what is typed."""
    return dict(_HIDDEN.findall(page))


def details(email: str) -> dict[str, str]:
    """What a customer types."""
    return {
        "customer_name": "Chaos Customer",
        "customer_email": email,
        "customer_phone": "07700 900300",
        "address": "1 Sample Street\nLondon",
        "postcode": "SE1 7PB",
        "consent": "on",
    }


class Load:
    """`customers` who book and one reader of `pages`, until the block ends. `orders`: everything anybody tried.

    With `deposit_slug` one more books that service and pays its deposit on Stripe's page.
    """

    def __init__(
        self,
        url: str,
        slugs: Sequence[str],
        *,
        customers: int = 4,
        pages: Iterable[str] = (),
        deposit_slug: str = "",
    ) -> None:
        self.url, self.slugs, self.pages = url, slugs, tuple(pages)
        self.orders: list[Order] = []
        self.booking, self.reading = Answers(), Answers()
        self.acknowledged_at: list[float] = []
        self.wrong: list[str] = []
        self._ended = threading.Event()
        wanted = [self.slugs] * customers + ([(deposit_slug,)] if deposit_slug else [])
        self._threads = [threading.Thread(target=self._book_on, args=(asked,), daemon=True) for asked in wanted]
        self._threads.append(threading.Thread(target=self._read_on, daemon=True))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let everybody finish what they are at."""
        self._ended.set()
        for thread in self._threads:
            thread.join(TIMEOUT + 40)

    def acknowledged_since(self, moment: float) -> int:
        """How many bookings were acknowledged after that moment of time.monotonic()."""
        return sum(at > moment for at in list(self.acknowledged_at))

    def _book_on(self, slugs: Sequence[str]) -> None:
        while not self._ended.wait(0.05):
            number = next(_numbers)
            with visitor(number) as session:
                self._book(session, Order(f"chaos{number}@example.com", random.choice(slugs)))  # noqa: S311 - load

    def _book(self, session: requests.Session, order: Order) -> None:
        week = date.today() + timedelta(weeks=random.randrange(1, WEEKS))  # noqa: S311 - load
        found = self._until_answered(session, "GET", f"/api/availability?service={order.slug}&week={week}")
        if found is None or found.status_code != 200:
            return
        starts = [slot["start"] for day in found.json()["days"] for slot in day["slots"]]
        if not starts:
            return
        order.start = random.choice(starts)  # noqa: S311 - load
        path = f"/book/{order.slug}/details/"
        page = self._until_answered(session, "GET", f"{path}?start={quote(order.start)}")
        if page is None or page.status_code != 200:
            return
        form = hidden_fields(page.text) | details(order.email)
        self.orders.append(order)
        order.outcome = "unknown"
        answer = self._until_answered(session, "POST", path, data=form)
        if answer is None:
            return
        if answer.status_code == 302 and answer.headers["Location"].endswith("/confirmed/"):
            order.outcome = "acknowledged"
            self._until_answered(session, "GET", answer.headers["Location"])
        elif answer.status_code == 302:
            order.outcome = self._pays(session, answer)
        elif answer.status_code == 409:
            order.outcome = "refused"
        else:
            order.outcome = "refused"
            self.wrong.append(f"a good form was answered with {answer.status_code}")
        if order.outcome == "acknowledged":
            self.acknowledged_at.append(time.monotonic())

    def _pays(self, session: requests.Session, answer: requests.Response) -> Outcome:
        """Pay a deposit on Stripe's page, asking for that page again while Stripe cannot be had."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline and answer.status_code == 302:
            address = answer.headers["Location"]
            if "://" in address:  # Stripe's
                return self._pays_there(session, address, deadline)
            page = self._until_answered(session, "GET", address)
            again = page and self._until_answered(
                session, "POST", address.partition("?")[0], data=hidden_fields(page.text)
            )
            if not again:
                break
            answer = again
        return "unknown"

    def _pays_there(self, session: requests.Session, address: str, deadline: float) -> Outcome:
        """Pay, and come back to the page that waits until the site has heard of it."""
        headers = {"Accept": "application/json"}
        paid = session.post(address, {"card": CARD}, headers=headers, timeout=30, allow_redirects=False)
        if paid.status_code != 303:
            return "refused"
        back = "/" + paid.headers["Location"].split("/", 3)[3]
        while time.monotonic() < deadline:
            page = self._until_answered(session, "GET", back)
            if page is None or page.status_code != 200:
                break
            time.sleep(1)
        return "acknowledged"

    def _until_answered(
        self, session: requests.Session, method: str, path: str, data: dict[str, str] | None = None
    ) -> requests.Response | None:
        """Again and again until the answer is clear; None when TIMEOUT ran out."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            response = ask(session, method, self.url + path, self.booking, data=data, headers={"Referer": self.url})
            if response is not None and response.status_code < 500:
                return response
            if time.monotonic() > deadline:
                return None
            time.sleep(0.4)

    def _read_on(self) -> None:
        with visitor(0) as session:
            while not self._ended.is_set():
                for page in self.pages:
                    ask(session, "GET", self.url + page, self.reading)
                    if self._ended.wait(0.1):
                        return
