"""What a request or task does or waits for. A host adds kinds of its own.

    LICENCE = work.kind("licence", "waiting for the licence server")

    with LICENCE.doing("acme"):
        ask()

From then on the time is in `work_seconds_total{on="licence"}`, and an incident whose cause it is says so.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from telemetry.context import current


class Kind(NamedTuple):
    """A kind of activity. `says`: as a sentence calls it, e.g. "waiting for the licence server"."""

    name: str
    says: str

    def doing(self, name: str = "") -> AbstractContextManager[None]:
        """Account the block's time as this kind's; `name` is one of a bounded number, e.g. which server."""
        return doing(self.name, name)


_OWN = {
    "query": "running a query",
    "lock": "waiting for a lock",
    "pool": "waiting for a database connection",
    "commit": "committing",
    "http": "calling another service",
    "mail": "sending mail",
    "queue": "waiting in a queue",
    "cpu": "on the processor",
    "runnable": "waiting for the processor",
}
_kinds = {name: Kind(name, says) for name, says in _OWN.items()}


def kind(name: str, says: str) -> Kind:
    """Declare a kind; the latest declaration of a name counts."""
    declared = _kinds[name] = Kind(name, says)
    return declared


def kinds() -> dict[str, Kind]:
    """Every declared kind, by name."""
    return dict(_kinds)


def declared_by_host() -> dict[str, Kind]:
    """The kinds that are not telemetry's own, by name."""
    return {name: each for name, each in _kinds.items() if name not in _OWN}


@contextmanager
def doing(kind: str, name: str = "") -> Iterator[None]:
    """Account the block's time, of the request or task it belongs to, as spent on this."""
    observation = current()
    if observation is None:
        yield
        return
    observation.begin(kind, name, time.perf_counter())
    try:
        yield
    finally:
        observation.end(time.perf_counter())
