"""Why a request about a booking was refused."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bookings import events
from bookings.models import Booking, Quote, Service
from bookings.slots.rules import Reason, Slot


class SchedulingError(Exception):
    """A request that is refused. `code` is bounded, fit for a label; `alternatives` are the nearest free slots."""

    code = "refused"

    def __init__(self, message: str = "", *, alternatives: Sequence[Slot] = ()) -> None:
        super().__init__(message or self.code)
        self.alternatives = alternatives


class SlotUnavailable(SchedulingError):
    """The slot cannot be had; `reason` says why, as a Reason."""

    def __init__(self, reason: Reason, *, alternatives: Sequence[Slot] = ()) -> None:
        self.reason = reason
        self.code = reason.value
        super().__init__(alternatives=alternatives)


class SlotTaken(SlotUnavailable):
    """Somebody else has the slot: the only refusal that is a conflict (409)."""

    def __init__(self, *, alternatives: Sequence[Slot] = ()) -> None:
        super().__init__(Reason.TAKEN, alternatives=alternatives)


class TooFar(SlotUnavailable):
    """Somebody has the time, and cannot be at the postcode by then. Staff may want it all the same."""

    def __init__(self, *, alternatives: Sequence[Slot] = ()) -> None:
        super().__init__(Reason.TRAVEL, alternatives=alternatives)


class OutOfArea(SchedulingError):
    """The business does not come to this postcode."""

    code = "out_of_area"


class TooManyUnproven(SchedulingError):
    """As many bookings of a client or an address, or changes of one, as there may be before the address is proved."""

    code = "unproven"


class AlreadyBooked(SchedulingError):
    """The same form has booked another slot already: `booking`. Is that to be moved, or is this a second visit?

    `changed`: staff have changed that booking since, so that its own page is where to go on.
    """

    code = "already_booked"

    def __init__(self, booking: Booking, *, changed: bool = False) -> None:
        super().__init__()
        self.booking, self.changed = booking, changed


class QuoteGone(SchedulingError):
    """The quote cannot be accepted, booked or withdrawn any more: its `state` says why."""

    code = "quote_gone"

    def __init__(self, quote: Quote) -> None:
        super().__init__()
        self.quote = quote


class TooLate(SchedulingError):
    """Past the deadline for changes online: the customer should phone. Or past the day in which staff can undo."""

    code = "too_late"


class TooEarly(SchedulingError):
    """The visit has not begun, so nobody knows yet how it ends. Or its day has not, so nobody is on the way."""

    code = "too_early"


class NotYours(SchedulingError):
    """The visit went to another handyman before this one reported from it."""

    code = "not_yours"


class DoesNotFit(SchedulingError):
    """A visit has no room for another job: its handyman does not do it, or has not the time."""

    code = "does_not_fit"


class DepositChanged(SchedulingError):
    """Another deposit would be asked for than the customer was shown."""

    code = "deposit_changed"


class NoAddress(SchedulingError):
    """The customer can only be contacted by phone, so there is no e-mail to send again."""

    code = "no_address"


class NotPossible(SchedulingError):
    """The booking's status does not allow it, such as moving a cancelled one."""

    code = "not_possible"


@contextmanager
def published(service: Service, action: str) -> Iterator[None]:
    """Publish a refusal at once: its transaction will not be committed."""
    try:
        yield
    except SchedulingError as refusal:
        events.publish_now(events.BookingRejected(service=service.slug, action=action, reason=refusal.code))
        raise
