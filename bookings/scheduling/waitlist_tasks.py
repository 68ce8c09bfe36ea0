"""Background work about those who wait for an earlier time."""

from django.utils import timezone
from procrastinate.contrib.django import app

from bookings.messaging import waitlist_emails
from bookings.messaging.delivery import Retries, send_once
from bookings.models import WaitlistEntry, WaitlistOffer
from bookings.scheduling import offers

_RETRIES = Retries(max_attempts=15, exponential_wait=2)


@app.periodic(cron="* * * * *")
@app.task(name="offer_free_time", lock="waitlist")
def offer_free_time(timestamp: int) -> None:
    """Offer what is free to those who wait; one look at a time, so that their turn is kept."""
    offers.offer_free_time()


@app.task(name="send_waitlist_email", retry=_RETRIES)
def send_waitlist_email(*, entry_id: int) -> None:
    """Send the link by which somebody confirms that they wait, or leaves the line."""
    entry = WaitlistEntry.objects.filter(pk=entry_id, ended_at=None).select_related("service", "booking").first()
    if entry is not None and entry.email:
        send_once(f"waitlist:{entry_id}:joined", "waitlist", waitlist_emails.joined(entry))


@app.task(name="send_waitlist_offer", retry=_RETRIES)
def send_waitlist_offer(*, entry_id: int, offer_id: int) -> None:
    """Offer a time to who waits, while it is kept for them."""
    found = WaitlistOffer.objects.filter(pk=offer_id, outcome=WaitlistOffer.Outcome.OPEN)
    offer = found.select_related("entry__service", "entry__booking__handyman", "hold__handyman").first()
    if offer is not None and offer.entry.email and offer.is_kept(timezone.now()):
        send_once(f"waitlist:{entry_id}:offer:{offer_id}", "offer", waitlist_emails.offer(offer))
