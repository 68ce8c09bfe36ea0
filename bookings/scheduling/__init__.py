"""Every change to a booking. The exclusion constraint `booking_no_overlap` resolves races; earlier reads are not
authoritative.

All functions are keyword-only, run in their own transaction (or savepoint), write the booking's history, put the
e-mails into the outbox and publish an event. They raise a SchedulingError when a request cannot be granted.
"""

from bookings.scheduling.booking import Customer, book, check, hold
from bookings.scheduling.confirming import confirm, prove
from bookings.scheduling.errors import (
    AlreadyBooked,
    NotPossible,
    OutOfArea,
    QuoteGone,
    SchedulingError,
    SlotTaken,
    SlotUnavailable,
    TooEarly,
    TooFar,
    TooLate,
    TooManyUnproven,
)
from bookings.scheduling.history import By
from bookings.scheduling.jobs import add as add_job
from bookings.scheduling.moving import move
from bookings.scheduling.outcomes import cancel, complete, no_show, reinstate, undo, undoable_until

__all__ = [
    "AlreadyBooked",
    "By",
    "Customer",
    "NotPossible",
    "OutOfArea",
    "QuoteGone",
    "SchedulingError",
    "SlotTaken",
    "SlotUnavailable",
    "TooEarly",
    "TooFar",
    "TooLate",
    "TooManyUnproven",
    "add_job",
    "book",
    "cancel",
    "check",
    "complete",
    "confirm",
    "hold",
    "move",
    "no_show",
    "prove",
    "reinstate",
    "undo",
    "undoable_until",
]
