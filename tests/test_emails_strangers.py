"""Anybody can book for anybody's e-mail address: what he types does not go there in the business's name."""

import pytest

from bookings import emails
from bookings.models import Booking
from tests import factories

WORDS = {
    "customer_name": "Cheap watches at watches.example",
    "address": "Click watches.example now",
    "notes": "You have won",
    "customer_phone": "07700 900999",
}
PLAIN = ("confirmation", "moved", "cancelled", "reminder", "restored")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", PLAIN)
def test_it_mails_nothing_in_the_words_of_whoever_booked(kind: str) -> None:
    service = factories.service()
    made = factories.booking(
        service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(days=3)
    )
    Booking.objects.filter(pk=made.pk).update(**WORDS)
    email = emails.booking_email(Booking.objects.get(pk=made.pk), kind)
    html = str(email.alternatives)  # type: ignore[attr-defined]  # an EmailMultiAlternatives
    written = email.message().as_string() + email.body + html + str(email.attachments)
    assert made.reference in written
    assert made.postcode in email.body
    for word in ("watches", "won", "900999"):
        assert word not in written, word
    assert email.to == [made.customer_email]
