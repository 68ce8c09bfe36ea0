"""A customer's own page: asked for by e-mail address, opened once by the mailed link, good for an hour.

Nobody learns from it whether an address is known: the answer is the same, and only its owner gets an e-mail.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from procrastinate.contrib.django import app

from bookings import events
from bookings.models import BookingEvent, BookingQuerySet, CustomerLink, Status, new_link_key
from bookings.personal_data import records
from bookings.scheduling import proofs

OPEN_FOR = timedelta(hours=1)
"""How long the page that it opens does."""
BETWEEN = timedelta(minutes=5)
"""The least time from one e-mail to the next to one address."""
_SALT = "bookings.own_page"
_MADE = (BookingEvent.Kind.CREATED, BookingEvent.Kind.CONFIRMED)


class LinkGone(Exception):
    """A link that is forged, was used, has run out, or was replaced by a newer e-mail's."""


def ask(email: str, now: datetime | None = None) -> None:
    """Send the link to this address, if it has any visits and was not sent one just now."""
    now = now or timezone.now()
    latest = records.of(email).bookings.order_by("-created_at").first()
    digest = _digest(email)
    with transaction.atomic():
        had = CustomerLink.objects.filter(digest=digest, made_at__gt=now - BETWEEN).exists()
        if latest is not None and not had:
            link, _ = CustomerLink.objects.update_or_create(
                digest=digest,
                defaults={
                    "booking": latest,
                    "mailed_key": new_link_key(),
                    "page_key": "",
                    "made_at": now,
                    "opened_at": None,
                },
            )
            app.configure_task(name="send_customer_link").defer(booking_id=link.booking_id, link_id=link.pk)
        events.publish(events.CustomerLinkAsked(sent=latest is not None and not had))


def can_be_opened(token: str, now: datetime | None = None) -> bool:
    """Whether the mailed link would open the page; nothing is used up."""
    return _found(token, "mailed_key", made_at__gt=(now or timezone.now()) - CustomerLink.MAILED_FOR) is not None


@transaction.atomic
def open_page(token: str, now: datetime | None = None) -> str:
    """Use a mailed link up, and take its address for proved; the token of the page. Raises LinkGone."""
    now = now or timezone.now()
    link = _found(token, "mailed_key", lock=True, made_at__gt=now - CustomerLink.MAILED_FOR)
    if link is None:
        raise LinkGone
    link.mailed_key, link.page_key, link.opened_at = "", new_link_key(), now
    link.save(update_fields=["mailed_key", "page_key", "opened_at"])
    proofs.note_address(link.booking.customer_email, now)
    events.publish(events.CustomerLinkOpened())
    return link.page_token


def address_of(token: str, now: datetime | None = None) -> str:
    """The e-mail address whose page this is. Raises LinkGone."""
    link = _found(token, "page_key", opened_at__gt=(now or timezone.now()) - OPEN_FOR)
    if link is None:
        raise LinkGone
    return link.booking.customer_email


def visits(email: str) -> BookingQuerySet:
    """The visits of an address that were booked, or wait to be confirmed or paid; with their jobs, latest first."""
    of_address = records.of(email).bookings.filter(erased_at=None).exclude(waitlist_offer__outcome="open")
    kept = of_address.exclude(status=Status.CANCELLED) | of_address.filter(events__kind__in=_MADE)
    return kept.distinct().with_jobs().order_by("-starts_at")


def forget_old(now: datetime) -> int:
    """Delete the links that open nothing any more."""
    return CustomerLink.objects.filter(made_at__lt=now - CustomerLink.MAILED_FOR - OPEN_FOR).delete()[0]


def _digest(email: str) -> str:
    return salted_hmac(_SALT, email.strip().lower(), algorithm="sha256").hexdigest()


def _found(token: str, column: str, *, lock: bool = False, **more: datetime) -> CustomerLink | None:
    """The link with this key, while its booking has still the address that asked."""
    if (read := CustomerLink.read(token)) is None:
        return None
    pk, key = read
    links = CustomerLink.objects.select_related("booking")
    found = (links.select_for_update(of=("self",)) if lock else links).filter(pk=pk, **{column: key}, **more).first()
    if not key or found is None or found.digest != _digest(found.booking.customer_email):
        return None
    return found
