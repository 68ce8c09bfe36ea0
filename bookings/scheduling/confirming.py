"""A held booking becomes certain: by staff, by a deposit, or by the link of an e-mail."""

from functools import partial

from django.contrib.auth.models import User

from bookings.messaging import links
from bookings.models import Booking, Status
from bookings.scheduling import proofs, waitlist
from bookings.scheduling.history import By, Kind
from bookings.scheduling.transitions import change


def confirm(*, booking: Booking, by: By, user: User | None = None) -> Booking:
    """Make a held booking certain and tell the customer. Does nothing when it is. Raises NotPossible.

    One that is kept for somebody in line takes that offer: what comes back is the visit, which may be another booking.
    """
    if taken := waitlist.take_kept_by(booking, by=by, user=user):
        return taken
    return change(booking, Kind.CONFIRMED, Status.CONFIRMED, allowed=(Status.HELD,), by=by, user=user)


def prove(*, booking: Booking, mail: str) -> Booking:
    """Make certain a booking that was held for its e-mail address, by the `mail` of its link. As `confirm` does."""
    if links.is_from_email(booking, mail) and (taken := waitlist.take_kept_by(booking, by=By.CUSTOMER)):
        return taken
    check = partial(proofs.require, mail=mail)
    return change(
        booking, Kind.CONFIRMED, Status.CONFIRMED, allowed=(Status.HELD,), by=By.CUSTOMER, user=None, check=check
    )
