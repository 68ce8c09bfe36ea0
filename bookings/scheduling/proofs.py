"""Whether a booking's e-mail address is its customer's: what proves it, and how many bookings go without that.

Proof is that its page was opened by the link in the e-mail, a paid deposit, or that staff made or confirmed it. It
holds for other bookings of the address for a year. Beyond a few unproven bookings the next is held until it is proved,
and an unproven booking is changed a few times only: whoever owns the address gets an e-mail of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Q, Value
from django.db.models.functions import Lower
from django.utils import timezone

from bookings.kept_query import Asked, KeptQuery, Statement, together
from bookings.messaging import links
from bookings.models import Booking, BookingEvent, BookingQuerySet, Status
from bookings.scheduling.errors import NotPossible, TooManyUnproven

MOST_HELD = 2
"""Bookings that wait for their proof at once, of one client and of one address."""
MOST_CHANGES = 4
"""Changes by its customer that an unproven booking takes."""
_CHANGES = (BookingEvent.Kind.MOVED, BookingEvent.Kind.ADDED, BookingEvent.Kind.CORRECTED)
_COUNTS_FOR = timedelta(days=1)
"""How long a booking that was cancelled, or not confirmed in time, counts like one that stands: it wrote an e-mail."""
_HOLDS_FOR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of the address of a booking that is being made.

    `proven_at` is when it was last proved, if that was within a year. `client` is whose unproven bookings this one
    counts among, "" where it counts among nobody's. `comes_first` has it held until it is proved.
    """

    proven_at: datetime | None
    client: str = ""
    comes_first: bool = False


def of_new_booking(*, email: str, client: str | None, now: datetime) -> Proof:
    """The proof of a customer's new booking; called in the transaction that makes it. One round trip.

    `client` is the hash of limits.client, "" for one that has no address; with None nothing has to be proved. Where
    the address was not, the others of this client and address wait until the transaction's end, and then count this
    booking. Raises TooManyUnproven.
    """
    if client is None:
        return Proof(earlier(email, now))
    lowered, since = email.lower(), now - _HOLDS_FOR
    counting = _ask_unproven(email, client, now)
    queued, ((proven_at,),), (numbers,) = together(
        (_QUEUE_UNPROVEN, (_names(email, client), lowered, since)), (_proven(), (lowered, since)), counting
    )
    if proven_at is not None:
        return Proof(proven_at)
    if not queued:  # its proof was erased in between
        queue(*_names(email, client))
        ((numbers,),) = together(counting)
    return Proof(None, client, _comes_first(dict(zip(_COUNTED, numbers, strict=True))))


def earlier(email: str, now: datetime) -> datetime | None:
    """When this address was last proved, if that was within a year."""
    last: datetime | None = _proven().rows(email.lower(), now - _HOLDS_FOR)[0][0]
    return last


def _comes_first(found: Mapping[str, int]) -> bool:
    """Whether the next booking of a client and an address with so many is held. Raises TooManyUnproven."""
    mosts = {"address": settings.UNPROVEN_BOOKINGS_PER_ADDRESS, "client": settings.UNPROVEN_BOOKINGS_PER_CLIENT}
    if all(found[f"made_{whose}"] < most for whose, most in mosts.items()):
        return False
    for whose, most in mosts.items():
        beyond = max(found[f"made_{whose}"] - most, 0)
        if found[f"held_{whose}"] + beyond >= MOST_HELD:
            raise TooManyUnproven
    return True


def require_few_changes(booking: Booking, by: BookingEvent.By, now: datetime) -> None:
    """Raise TooManyUnproven where a customer has changed this unproven booking often enough. The booking is locked."""
    if by != BookingEvent.By.CUSTOMER or booking.proven_at or not booking.customer_email:
        return
    changes = booking.events.filter(by=BookingEvent.By.CUSTOMER, kind__in=_CHANGES).count()
    if changes >= MOST_CHANGES and earlier(booking.customer_email, now) is None:
        raise TooManyUnproven


def of_new_address(email: str, now: datetime) -> datetime | None:
    """When the address that a customer's booking gets was last proved. Raises TooManyUnproven where it was not, and
    has as many unproven bookings as it may.
    """
    queue(f"address {email.lower()}")
    proven_at = earlier(email, now)
    if proven_at is None:
        ((made, *_),) = together(_ask_unproven(email, "", now))[0]
        if made >= settings.UNPROVEN_BOOKINGS_PER_ADDRESS:
            raise TooManyUnproven
    return proven_at


def note_opened(booking: Booking, mail: str) -> None:
    """Record that the booking's page was opened from its e-mail; nothing for any other `mail`, or a held booking."""
    if booking.proven_at is None and booking.status != Status.HELD and links.is_from_email(booking, mail):
        same = Booking.objects.filter(pk=booking.pk, customer_email=booking.customer_email)
        same.update(proven_at=timezone.now())


def note_address(email: str, now: datetime) -> None:
    """Record that this address was proved, by the e-mail that leads to all its visits; held ones have their own."""
    _of_address(email).filter(proven_at=None).exclude(status=Status.HELD).update(proven_at=now)


def require(booking: Booking, *, mail: str) -> None:
    """Raise NotPossible unless the booking waits for a proof, and `mail` is it."""
    if hasattr(booking, "payment") or not links.is_from_email(booking, mail):
        raise NotPossible


def forget_clients(now: datetime | None = None) -> int:
    """Delete the hash of the client from bookings that count for no limit any more; returns from how many."""
    now = now or timezone.now()
    is_open = Q(status__in=(Status.HELD, Status.CONFIRMED))
    counts = Q(proven_at=None, starts_at__gt=now) & (is_open | _is_spent(now - _COUNTS_FOR))
    return Booking.objects.exclude(client="").exclude(counts).update(client="")


_COUNTED = ("made_address", "made_client", "held_address", "held_client")


def _ask_unproven(email: str, client: str, now: datetime) -> Asked:
    """How many bookings are ahead without a proof, made and held for it, of the address and of the client: _COUNTED.

    One that is off counts as made, for a day.
    """
    return _unproven(bool(client)), (email.lower(), now, now - _COUNTS_FOR, *((client,) if client else ()))


@cache
def _unproven(has_client: bool) -> KeptQuery:
    def query(lowered: str, now: datetime, since: datetime, client: str = "") -> Any:
        whose = {"address": Q(lowered=lowered), "client": Q(client=client) if has_client else Q(pk__in=())}
        made = Q(status=Status.CONFIRMED) | _is_spent(since)
        states = {"made": made, "held": Q(status=Status.HELD, hold_expires_at__gt=now, payment=None)}
        numbers = {
            f"{state}_{name}": Count("pk", filter=is_in & theirs)
            for state, is_in in states.items()
            for name, theirs in whose.items()
        }
        ahead = Booking.objects.alias(lowered=Lower("customer_email")).filter(proven_at=None, starts_at__gt=now)
        return _of_all(ahead.filter(whose["address"] | whose["client"])).annotate(**numbers).values_list(*_COUNTED)

    return KeptQuery(query, str, datetime, datetime, *([str] if has_client else []))


@cache
def _proven() -> KeptQuery:
    """When an address, in lower case, was last proved since then."""

    def query(lowered: str, since: datetime) -> Any:
        proven = _of_address(lowered).filter(proven_at__gt=since)
        return _of_all(proven).annotate(last=Max("proven_at")).values_list("last")

    return KeptQuery(query, str, datetime)


def _of_all(bookings: BookingQuerySet) -> Any:
    """One row of all, for aggregates: what `aggregate` asks at once, as a query."""
    return bookings.order_by().annotate(every=Value(1)).values("every")


def _is_spent(since: datetime) -> Q:
    return Q(status=Status.CANCELLED, created_at__gt=since, payment=None)


def _of_address(email: str) -> BookingQuerySet:
    return Booking.objects.alias(lowered=Lower("customer_email")).filter(lowered=email.lower())


_KEYS = "SELECT hashtextextended('bookings.proofs ' || name, 0) AS key FROM unnest(%s::text[]) AS name ORDER BY key"
_QUEUE = f"SELECT pg_advisory_xact_lock(key) FROM ({_KEYS}) AS ordered"  # noqa: S608
_QUEUE_UNPROVEN = Statement(
    f"{_QUEUE} WHERE NOT EXISTS (SELECT FROM bookings_booking WHERE lower(customer_email) = %s AND proven_at > %s)",
    Booking,
)


def queue(*names: str) -> None:
    """Let transactions that name the same take turns; in one order, lest two wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(_QUEUE, [list(names)])


def _names(email: str, client: str) -> list[str]:
    return [f"client {client}", f"address {email.lower()}"]
