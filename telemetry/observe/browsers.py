"""What browsers report, counted by clients, since the last look. Only of beacons that a token vouches for."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST = 50
"""Values of a vital kept in one look of a route."""
MOST_ROUTES = 200


@dataclass(slots=True)
class Browsed:
    """Of one page: clients that reported it, clients in whose browser a script failed, and the vitals (s; CLS bare)."""

    clients: int = 0
    failed: int = 0
    vitals: dict[str, list[float]] = field(default_factory=dict)


class Reports:
    """Of this process. Any thread may add; one takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routes: dict[str, Browsed] = {}

    def seen(self, route: str, vitals: Mapping[str, float]) -> None:
        """A client reported these for the first time on this page."""
        with self._lock:
            if (page := self._page(route)) is None:
                return
            page.clients += "TTFB" in vitals  # which every page view has
            for name, value in vitals.items():
                values = page.vitals.setdefault(name, [])
                if len(values) < MOST:
                    values.append(value)

    def failed(self, route: str) -> None:
        """A script of ours failed in a client's browser, for the first time on this page."""
        with self._lock:
            if (page := self._page(route)) is not None:
                page.failed += 1

    def take(self) -> dict[str, Browsed]:
        """What came since the last call."""
        with self._lock:
            routes, self._routes = self._routes, {}
        return routes

    def _page(self, route: str) -> Browsed | None:
        if route not in self._routes and len(self._routes) >= MOST_ROUTES:
            return None
        return self._routes.setdefault(route, Browsed())


reports = Reports()
os.register_at_fork(after_in_child=reports.__init__)  # type: ignore[misc]  # a child shares nothing with its parent
