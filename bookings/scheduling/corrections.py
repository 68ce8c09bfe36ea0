"""Correcting who a visit is for, and where. A link that was mailed to a wrong address stops working."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import timezone

from bookings.messaging import outbox
from bookings.models import Booking, FormerAddress, Handyman, SentEmail, Status, new_link_key
from bookings.scheduling import history, idempotency, proofs
from bookings.scheduling.errors import NoAddress, NotPossible, SchedulingError, TooFar
from bookings.scheduling.history import By, Kind
from bookings.slots import calendars, rules

FIELDS = {
    "customer_name": "name",
    "customer_email": "e-mail",
    "customer_phone": "phone",
    "address": "address",
    "postcode": "postcode",
    "notes": "notes",
}
"""The columns that can be corrected, and how the history calls them."""


class ChangedMeanwhile(SchedulingError):
    """The details are not as the form had shown them; `booking` has them as they are."""

    code = "changed_meanwhile"

    def __init__(self, booking: Booking) -> None:
        super().__init__()
        self.booking = booking


def details_of(booking: Booking) -> dict[str, str]:
    """What can be corrected, by column."""
    return {name: getattr(booking, name) for name in FIELDS}


@transaction.atomic
def correct(
    *,
    booking: Booking,
    details: Mapping[str, str],
    by: By,
    user: User | None = None,
    shown: str | None = None,
    fingerprint: str | None = None,
    however_far: bool = False,
) -> Booking:
    """Write the details that differ and name them in the history; the booking as it is then.

    Another e-mail address gets the confirmation with a new link, and the link that was mailed before opens nothing any
    more. A customer's old address is notified. `shown` is idempotency.digest of the details that the form had shown,
    `fingerprint` marks the request that this answers. Raises ChangedMeanwhile, NotPossible where a customer may not,
    TooManyUnproven, or TooFar where the handyman cannot be at another postcode in time (unless `however_far`, for
    staff).
    """
    now, current = timezone.now(), Booking.objects.for_change(booking.pk)
    if current.erased_at or (by == By.CUSTOMER and not is_correctable(current, now)):
        raise NotPossible
    if shown is not None and shown != idempotency.digest(details_of(current)):
        raise ChangedMeanwhile(current)
    changed = [name for name in FIELDS if name in details and details[name] != getattr(current, name)]
    old_address = current.customer_email
    if "postcode" in changed and is_correctable(current, now):
        _stay(current, details["postcode"], however_far=however_far)
    if "customer_email" in changed and by == By.CUSTOMER:
        proofs.require_few_changes(current, by, now)
        current.proven_at = proofs.of_new_address(details["customer_email"], now)
    for name in changed:
        setattr(current, name, details[name])
    written = [*changed, *(["during"] if "postcode" in changed else [])]
    if fingerprint is not None:
        current.fingerprint = fingerprint
        written.append("fingerprint")
    if "customer_email" in changed:
        written += _new_link(current)
        if by == By.CUSTOMER:
            written.append("proven_at")
    current.save(update_fields=written)
    if changed:
        history.record(current, Kind.CORRECTED, by=by, user=user, note=", ".join(FIELDS[name] for name in changed))
    if "customer_email" in changed:
        outbox.after_new_address(current)
        if old_address and by == By.CUSTOMER:
            outbox.after_old_address(FormerAddress.objects.create(booking=current, email=old_address))
    return current


def require_reachable(booking: Booking, postcode: str) -> None:
    """Raise TooFar where the visit's handyman could not be at another postcode in time."""
    if not _can_stay(booking, postcode, timezone.now())[0]:
        raise TooFar


def _stay(booking: Booking, postcode: str, *, however_far: bool) -> None:
    """Let a visit stand for another place, with its handyman locked. Raises TooFar."""
    Handyman.objects.filter(pk=booking.handyman_id).for_change()
    fits, kept = _can_stay(booking, postcode, timezone.now())
    if not fits and not however_far:
        raise TooFar
    booking.during = DateTimeTZRange(booking.planned_at, booking.ends_at + (kept if fits else timedelta()))


def _can_stay(booking: Booking, postcode: str, now: datetime) -> tuple[bool, timedelta]:
    """Whether a visit's handyman could come to this postcode instead, and the buffer to keep then. Three queries."""
    reader = calendars.Reader(now=now, service=booking, handyman=booking.handyman, ignoring=booking, postcode=postcode)
    day = booking.planned_at.astimezone(reader.rules.zone).date()
    diary, job = reader.diary(day, day), reader.job
    kept = timedelta() if job.places else job.buffer
    if not job.places and booking.during.upper == booking.ends_at + kept:
        return True, kept  # neither was known, so nothing changes
    fits = (
        rules.gets_there(each, diary.holidays, rules=reader.rules, job=job, at=booking.planned_at)
        for each in diary.calendars
    )
    return all(fits), kept


@transaction.atomic
def send_again(*, booking: Booking, user: User | None = None) -> Booking:
    """Send the customer the confirmation, or the way to pay, again. Raises NoAddress or NotPossible."""
    current = Booking.objects.for_change(booking.pk)
    if not current.customer_email:
        raise NoAddress
    if not is_correctable(current, timezone.now()):
        raise NotPossible
    current.sequence += 1
    current.save(update_fields=["sequence"])
    outbox.after_new_address(current)
    return current


def is_correctable(booking: Booking, now: datetime) -> bool:
    """Whether the visit is still ahead or being made, so that its details matter."""
    return booking.is_open and booking.ends_at > now and booking.erased_at is None


def _new_link(booking: Booking) -> list[str]:
    """Overtake the e-mails that wait, and revoke the link if it may have been mailed; the changed columns.

    Where no e-mail has left yet nobody has the link but this browser, and the way back from Stripe carries it.
    """
    booking.sequence += 1
    sent = SentEmail.objects.filter(key__startswith=f"booking:{booking.pk}:")
    if booking.status != Status.HELD or sent.exists():
        booking.link_key = new_link_key()
    return ["sequence", "link_key"]
