"""What a link carries in its e-mail alone, so that whoever opens it has read the e-mail."""

from django.core import signing

from bookings.models import Booking

_SALT = "bookings.proof"


def marker(booking: Booking) -> str:
    """The marker of this booking's e-mails. Another address, or a revoked link, makes it worthless."""
    return signing.Signer(salt=_SALT).signature(_marked(booking))


def is_from_email(booking: Booking, mail: str) -> bool:
    """Whether `mail` is the marker of this booking's e-mails."""
    try:
        return bool(signing.Signer(salt=_SALT).unsign(f"{_marked(booking)}:{mail}"))
    except signing.BadSignature:
        return False


def _marked(booking: Booking) -> str:
    return f"{booking.pk} {booking.link_key} {booking.customer_email}"
