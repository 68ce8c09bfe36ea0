"""What is logged, as a test sees it."""

from structlog.typing import EventDict


class Lines:
    """The structured events that were logged, before rendering. The fixture `lines` has them."""

    def __init__(self) -> None:
        self.events: list[EventDict] = []

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        self.events.append(dict(event))
        return event

    def named(self, event: str) -> list[EventDict]:
        """Every line of an event."""
        return [each for each in self.events if each["event"] == event]

    def one(self, event: str) -> EventDict:
        """The only line of an event."""
        (found,) = self.named(event)
        return found
