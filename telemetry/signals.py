"""What usually goes on in a host, so that it is noticed when it stops.

    ORDERS = signals.flow("orders", says="Orders stop", because="something on the way to an order")

    ORDERS.happened()

What is usual is learned, by the hour of the week; a quiet hour, and a host that has few visitors, raise nothing.
"""

from itertools import count
from typing import NamedTuple


class Seen(NamedTuple):
    """How often something happened since it was last asked, and how it was declared."""

    number: int
    slot: float
    says: str
    because: str


class Flow:
    """Something that happens again and again. `happened` may be called from any thread."""

    def __init__(self, says: str, because: str, slot: float) -> None:
        self._declared = (slot, says, because)
        self._happened = count()
        self._asked = 0

    def happened(self) -> None:
        """It happened once."""
        next(self._happened)

    def seen(self) -> Seen:
        """How often since the last call; of one thread."""
        total = next(self._happened)
        number, self._asked = total - self._asked, total + 1
        return Seen(number, *self._declared)


_flows: dict[str, Flow] = {}


def flow(name: str, says: str, because: str, *, slot: float = 1800.0) -> Flow:
    """Declare what usually goes on. An incident reads "`says` (none for …) because of `because`".

    `slot`: seconds; it is learned in how many of the slots of each hour it happens, so a slot is about as long as
    it usually takes until it happens. The latest declaration of a name counts.
    """
    declared = _flows[name] = Flow(says, because, slot)
    return declared


def seen() -> dict[str, Seen]:
    """What happened since the last call, by name."""
    return {name: each.seen() for name, each in _flows.items()}
