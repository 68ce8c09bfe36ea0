"""What happens in the host, logged once: `events.register(...)`, then `.happened(**fields)`.

A registered event is one log line of a static name and one event on the span of the current request or task. Fields
are ids and bounded values; nothing personal.
"""

from functools import cache
from typing import Any, Literal, NamedTuple

from telemetry import traces
from telemetry.logger import get_logger

Level = Literal["debug", "info", "warning", "error"]


class Event(NamedTuple):
    """A kind of event. `says`: what the line reports, for the list of events that people read."""

    name: str
    level: Level
    says: str
    logger: str

    def happened(self, **fields: Any) -> None:
        """Log it, and note it on the current span."""
        getattr(_logger(self.logger), self.level)(self.name, **fields)
        traces.event(self.name, fields)


_logger = cache(get_logger)
_registered: dict[str, Event] = {}


def register(name: str, level: Level = "info", says: str = "", *, logger: str = "events") -> Event:
    """Declare an event, and return what reports it when it happens. The latest registration of a name counts."""
    event = _registered[name] = Event(name, level, says, logger)
    return event


def registered() -> dict[str, Event]:
    """Every registered event, by name."""
    return dict(_registered)
