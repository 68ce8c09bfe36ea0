"""What makes one form one booking: a key that the form carries, and a fingerprint of what it asked for.

The same form with the same content is the same request, however often it comes. With other content it corrects the
booking that it made, while that is live. Once that booking is cancelled, lost or over, the form makes a new one.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from django.db.models import Q, QuerySet

from bookings.kept_query import KeptQuery
from bookings.models import Booking, Status, new_idempotency_key


def key(form_key: str) -> str:
    """What is stored of a form's key: always 64 characters."""
    return hashlib.sha256(form_key.encode()).hexdigest()


def digest(content: Mapping[str, object]) -> str:
    """A fingerprint of what a form says, 64 characters."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def live(stored_key: str, now: datetime) -> Booking | None:
    """The booking that this form has made, if it still stands and is not over. One query, as few forms come twice."""
    if not _standing().rows(stored_key, now):
        return None
    return Booking.objects.filter(_live(now), idempotency_key=stored_key).with_jobs().first()


def release(stored_key: str, now: datetime) -> None:
    """Let the form book again, if what it had made does not stand any more."""
    Booking.objects.filter(idempotency_key=stored_key).exclude(_live(now)).update(idempotency_key=new_idempotency_key())


@cache
def _standing() -> KeptQuery:
    def query(stored_key: str, now: datetime) -> QuerySet[Any, Any]:
        return Booking.objects.filter(_live(now), idempotency_key=stored_key).order_by().values_list("pk")

    return KeptQuery(query, str, datetime)


def _live(now: datetime) -> Q:
    held = Q(status=Status.HELD, hold_expires_at__gt=now)
    return Q(ends_at__gt=now) & (held | Q(status=Status.CONFIRMED))
