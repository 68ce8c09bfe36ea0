"""Messages from the contact form, and what the business writes back."""

import hashlib
import json
from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from bookings import events
from bookings.messaging import outbox
from bookings.models import ContactMessage, MessageAnswer, MessagePhoto


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


def answer(*, message: ContactMessage, body: str, user: User, key: str) -> MessageAnswer:
    """Write back by e-mail and keep what was written; the message is handled by that. The same `key` is sent once."""
    with transaction.atomic():
        locked = ContactMessage.objects.select_for_update(of=("self",)).get(pk=message.pk)
        earlier = locked.answers.filter(key=key).first()
        if earlier is not None:
            return earlier
        first = not locked.answers.exists()
        made = locked.answers.create(body=body, key=key, written_by=user)
        locked.handled_at, locked.handled_by = timezone.now(), user
        locked.save(update_fields=["handled_at", "handled_by"])
        outbox.after_answer(made)
        events.publish(events.ContactMessageAnswered(message_id=locked.pk, topic=locked.topic, first=first))
    return made
