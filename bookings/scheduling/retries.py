"""Transactions that others race with."""

from collections.abc import Callable
from typing import TypeVar

import psycopg.errors
from django.db import IntegrityError, OperationalError, transaction

_T = TypeVar("_T")
_ATTEMPTS = 5
_BROKEN_OFF = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


def atomically(work: Callable[[], _T]) -> _T:
    """Run in a transaction; again when PostgreSQL broke it off in favour of another (deadlock, serialization).

    And again when the reference drawn for a new booking is another's: the next attempt draws a new one.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            broken_off = isinstance(error.__cause__, _BROKEN_OFF)
            if not broken_off or attempt == _ATTEMPTS or transaction.get_connection().in_atomic_block:
                raise
        except IntegrityError as error:
            if violated_constraint(error) != "booking_reference" or attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def violated_constraint(error: IntegrityError) -> str | None:
    """The name of the constraint that was violated."""
    cause = error.__cause__
    return cause.diag.constraint_name if isinstance(cause, psycopg.Error) else None
