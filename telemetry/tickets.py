"""What wears out slowly and is no incident yet: registered checks, asked once an hour by one process of a host.

tickets.register("certificate", ask)  # ask() returns a Ticket for each thing that somebody should look after
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Ticket(NamedTuple):
    """Something to look after in the next days. `subject`: a table, a host name. `says`: a whole sentence."""

    kind: str
    subject: str
    says: str


_checks: dict[str, Callable[[], Iterable[Ticket]]] = {}


def register(name: str, ask: Callable[[], Iterable[Ticket]]) -> None:
    """Ask this once an hour, in a thread that nobody waits for; an exception is logged. The latest of a name counts."""
    _checks[name] = ask


def checks() -> dict[str, Callable[[], Iterable[Ticket]]]:
    """Every registered check, by name."""
    return dict(_checks)
