"""Whether a booking's e-mail address is its customer's: what proves it, and how many bookings go without that.

Proof is that its page was opened by the link in the e-mail, a paid deposit, or that staff made or confirmed it. It
holds for other bookings of the address for a year. Beyond a few unproven bookings the next is held until it is proved.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.core import signing
from django.db import connection
from django.db.models import Count, Max, Q
from django.db.models.functions import Lower
from django.utils import timezone

from bookings.models import Booking, BookingQuerySet, Status
from bookings.scheduling.errors import NotPossible, TooManyUnproven

MOST_HELD = 2
"""Bookings that wait for their proof at once, of one client and of one address."""
_HOLDS_FOR = timedelta(days=365)
_SALT = "bookings.proof"


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
    _queue(f"client {client}", f"address {email.lower()}")
    counted = [(_of_address(email), settings.UNPROVEN_BOOKINGS_PER_ADDRESS)]
    if client:
        counted.append((Booking.objects.filter(client=client), settings.UNPROVEN_BOOKINGS_PER_CLIENT))
    numbers = [(*_unproven(bookings, now), most) for bookings, most in counted]
    if all(made < most for made, _held, most in numbers):
        return False
    if any(held >= MOST_HELD for _made, held, _most in numbers):
        raise TooManyUnproven
    return True


def marker(booking: Booking) -> str:
    """What a link carries in its e-mail alone. Another address, or a revoked link, makes it worthless."""
    return signing.Signer(salt=_SALT).signature(_marked(booking))


def is_from_email(booking: Booking, mail: str) -> bool:
    """Whether `mail` is the marker of this booking's e-mails."""
    try:
        return bool(signing.Signer(salt=_SALT).unsign(f"{_marked(booking)}:{mail}"))
    except signing.BadSignature:
        return False


def note_opened(booking: Booking, mail: str) -> None:
    """Record that the booking's page was opened from its e-mail; nothing for any other `mail`, or a held booking."""
    if booking.proven_at is None and booking.status != Status.HELD and is_from_email(booking, mail):
        same = Booking.objects.filter(pk=booking.pk, customer_email=booking.customer_email)
        same.update(proven_at=timezone.now())


def note_address(email: str, now: datetime) -> None:
    """Record that this address was proved, by the e-mail that leads to all its visits; held ones have their own."""
    _of_address(email).filter(proven_at=None).exclude(status=Status.HELD).update(proven_at=now)


def require(booking: Booking, *, mail: str) -> None:
    """Raise NotPossible unless the booking waits for a proof, and `mail` is it."""
    if hasattr(booking, "payment") or not is_from_email(booking, mail):
        raise NotPossible


def forget_clients(now: datetime | None = None) -> int:
    """Delete the hash of the client from bookings that count for no limit any more; returns from how many."""
    counts = Q(proven_at=None, starts_at__gt=now or timezone.now(), status__in=(Status.HELD, Status.CONFIRMED))
    return Booking.objects.exclude(client="").exclude(counts).update(client="")


def _unproven(bookings: BookingQuerySet, now: datetime) -> tuple[int, int]:
    """How many of these are ahead without a proof: booked, and held for it."""
    held = Q(status=Status.HELD, hold_expires_at__gt=now, payment=None)
    found = bookings.filter(proven_at=None, starts_at__gt=now).aggregate(
        made=Count("pk", filter=Q(status=Status.CONFIRMED)), held=Count("pk", filter=held)
    )
    return found["made"], found["held"]


def _of_address(email: str) -> BookingQuerySet:
    return Booking.objects.alias(lowered=Lower("customer_email")).filter(lowered=email.lower())


def _marked(booking: Booking) -> str:
    return f"{booking.pk} {booking.link_key} {booking.customer_email}"


def _queue(*names: str) -> None:
    """Let transactions that name the same take turns; in one order, lest two wait for each other."""
    with connection.cursor() as cursor:
        for name in sorted(names):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"bookings.proofs {name}"])
