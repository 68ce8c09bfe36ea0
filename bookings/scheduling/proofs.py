"""Whether a booking's e-mail address is its customer's: what proves it, and how many bookings go without that.

Proof is that its page was opened by the link in the e-mail, a paid deposit, or that staff made or confirmed it. It
holds for other bookings of the address for a year. Beyond a few unproven bookings the next is held until it is proved,
and an unproven booking is changed a few times only: whoever owns the address gets an e-mail of each.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Q
from django.db.models.functions import Lower
from django.utils import timezone

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


def earlier(email: str, now: datetime) -> datetime | None:
    """When this address was last proved, if that was within a year."""
    proven = _of_address(email).filter(proven_at__gt=now - _HOLDS_FOR)
    last: datetime | None = proven.aggregate(last=Max("proven_at"))["last"]
    return last


def comes_first(*, email: str, client: str, now: datetime) -> bool:
    """Whether the next booking of this client and address is to be held until it is proved.

    `client` is the hash of limits.client, "" for one that has no address. Called in the transaction that makes the
    booking: until its end the others of this client and address wait, and then count it. Raises TooManyUnproven.
    """
    queue(f"client {client}", f"address {email.lower()}")
    found = _unproven(email, client, now)
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
    if proven_at is None and _unproven(email, "", now)["made_address"] >= settings.UNPROVEN_BOOKINGS_PER_ADDRESS:
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
    counts = Q(proven_at=None, starts_at__gt=now) & (Q(status__in=(Status.HELD, Status.CONFIRMED)) | _is_spent(now))
    return Booking.objects.exclude(client="").exclude(counts).update(client="")


def _unproven(email: str, client: str, now: datetime) -> dict[str, int]:
    """How many bookings are ahead without a proof, made and held for it, of the address and of the client.

    One that is off counts as made, for a day.
    """
    of_client = Q(client=client) if client else Q(pk__in=())
    whose = {"address": Q(lowered=email.lower()), "client": of_client}
    made = Q(status=Status.CONFIRMED) | _is_spent(now)
    states = {"made": made, "held": Q(status=Status.HELD, hold_expires_at__gt=now, payment=None)}
    numbers = {
        f"{state}_{name}": Count("pk", filter=is_in & theirs)
        for state, is_in in states.items()
        for name, theirs in whose.items()
    }
    lowered = Booking.objects.alias(lowered=Lower("customer_email"))
    return lowered.filter(whose["address"] | of_client, proven_at=None, starts_at__gt=now).aggregate(**numbers)


def _is_spent(now: datetime) -> Q:
    return Q(status=Status.CANCELLED, created_at__gt=now - _COUNTS_FOR, payment=None)


def _of_address(email: str) -> BookingQuerySet:
    return Booking.objects.alias(lowered=Lower("customer_email")).filter(lowered=email.lower())


def queue(*names: str) -> None:
    """Let transactions that name the same take turns; in one order, lest two wait for each other."""
    keys = "SELECT hashtextextended('bookings.proofs ' || name, 0) AS key FROM unnest(%s::text[]) AS name ORDER BY key"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock(key) FROM ({keys}) AS ordered", [list(names)])  # noqa: S608
