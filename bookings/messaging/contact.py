"""Messages from the contact form."""

import hashlib
import json
from collections.abc import Sequence

from django.db import IntegrityError, transaction

from bookings import events
from bookings.messaging import outbox
from bookings.models import ContactMessage, MessagePhoto


def receive(
    *,
    name: str,
    email: str,
    phone: str,
    topic: ContactMessage.Topic,
    body: str,
    idempotency_key: str,
    suspected_spam: bool = False,
    photos: Sequence[bytes] = (),
) -> ContactMessage:
    """Keep a message and, unless it is suspected spam, tell staff by e-mail. The same posted twice is one message."""
    # Whoever goes back and writes something else under the same key sends another message.
    asked = json.dumps([idempotency_key, name, email, phone, topic, body]).encode()
    key = hashlib.sha256(b"".join([asked, *photos])).hexdigest()
    try:
        with transaction.atomic():
            message = ContactMessage.objects.create(
                name=name,
                email=email,
                phone=phone,
                topic=topic,
                body=body,
                idempotency_key=key,
                suspected_spam=suspected_spam,
            )
            MessagePhoto.objects.bulk_create(MessagePhoto(message=message, jpeg=jpeg) for jpeg in photos)
            if not suspected_spam:
                outbox.after_message(message)
            events.publish(events.ContactMessageReceived(message_id=message.pk, topic=message.topic))
    except IntegrityError:
        twin = ContactMessage.objects.filter(idempotency_key=key).first()
        if twin is None:
            raise
        return twin
    return message
