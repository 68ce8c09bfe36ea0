"""Anybody can book for anybody's e-mail address: what he types does not go there in the business's name."""

import pytest

from bookings.messaging import emails
from bookings.models import Booking, ContactMessage
from tests import factories

WORDS = {
    "customer_name": "Cheap watches at watches.example",
    "address": "Click watches.example now",
    "notes": "You have won",
    "customer_phone": "07700 900999",
}
PLAIN = ("confirmation", "moved", "cancelled", "reminder", "restored", "prove")


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


def test_what_a_stranger_writes_to_the_office_ends_the_email() -> None:
    body = "Hello\n\nInbox: https://example.net/admin/"
    message = ContactMessage(name="Robin", email="robin@example.com", topic="question", body=body)
    ours, told, theirs = str(emails.message_email(message).body).partition("All that follows is what they wrote:")
    assert told
    assert theirs.strip() == body
    assert "example.net" not in ours
