"""Kinds of activity that a request or task may be at: what it does or waits for. `work.kind(...)` adds a host's own."""

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of activity. `says`: as a sentence calls it, e.g. "waiting for the licence server"."""

    name: str
    says: str


_kinds: dict[str, Kind] = {}


def kind(name: str, says: str) -> Kind:
    """Declare a kind; the latest declaration of a name counts."""
    declared = _kinds[name] = Kind(name, says)
    return declared


def kinds() -> dict[str, Kind]:
    """Every declared kind, by name."""
    return dict(_kinds)


for _name, _says in {
    "query": "running a query",
    "lock": "waiting for a lock",
    "pool": "waiting for a database connection",
    "commit": "committing",
    "http": "calling another service",
    "mail": "sending mail",
    "queue": "waiting in a queue",
    "cpu": "on the processor",
    "runnable": "waiting for the processor",
}.items():
    kind(_name, _says)
