"""Correcting who a visit is for, and where. A link that was mailed to a wrong address stops working."""

from collections.abc import Mapping
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from bookings import tasks
from bookings.models import Booking, FormerAddress, SentEmail, Status, new_link_key
from bookings.scheduling import history, idempotency, proofs
from bookings.scheduling.errors import NotPossible, SchedulingError
from bookings.scheduling.history import By, Kind

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
) -> Booking:
    """Write the details that differ and name them in the history; the booking as it is then.

    Another e-mail address gets the confirmation with a new link, and the link that was mailed before opens nothing any
    more. A customer's old address is notified. `shown` is idempotency.digest of the details that the form had shown,
    `fingerprint` marks the request that this answers. Raises ChangedMeanwhile, or NotPossible where a customer may not.
    """
    current = Booking.objects.for_change(booking.pk)
    if current.erased_at or (by == By.CUSTOMER and not is_correctable(current, timezone.now())):
        raise NotPossible
    if shown is not None and shown != idempotency.digest(details_of(current)):
        raise ChangedMeanwhile(current)
    changed = [name for name in FIELDS if name in details and details[name] != getattr(current, name)]
    old_address = current.customer_email
    for name in changed:
        setattr(current, name, details[name])
    written = [*changed]
    if fingerprint is not None:
        current.fingerprint = fingerprint
        written.append("fingerprint")
    if "customer_email" in changed:
        written += _new_link(current)
        if by == By.CUSTOMER:
            current.proven_at = proofs.earlier(current.customer_email, timezone.now())
            written.append("proven_at")
    current.save(update_fields=written)
    if changed:
        history.record(current, Kind.CORRECTED, by=by, user=user, note=", ".join(FIELDS[name] for name in changed))
    if "customer_email" in changed:
        tasks.after_new_address(current)
        if old_address and by == By.CUSTOMER:
            tasks.after_old_address(FormerAddress.objects.create(booking=current, email=old_address))
    return current


@transaction.atomic
def send_again(*, booking: Booking, user: User | None = None) -> Booking:
    """Send the customer the confirmation, or the way to pay, again. Raises NotPossible."""
    current = Booking.objects.for_change(booking.pk)
    if not current.customer_email or not is_correctable(current, timezone.now()):
        raise NotPossible
    current.sequence += 1
    current.save(update_fields=["sequence"])
    tasks.after_new_address(current)
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
