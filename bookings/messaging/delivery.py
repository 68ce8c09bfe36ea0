"""E-mails leave once. One that may or may not have left is not sent again: its task fails, for staff to see."""

import contextlib
import smtplib

from django.core import mail
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone
from procrastinate import RetryDecision, RetryStrategy
from procrastinate.jobs import Job

from bookings import connections, events
from bookings.messaging import emails
from bookings.models import SentEmail

_LOST = (smtplib.SMTPServerDisconnected, TimeoutError, ConnectionResetError, BrokenPipeError)


class EmailUncertain(Exception):
    """Whether this e-mail left, nobody knows: its sender died, or lost the mail server while handing it over."""


class Retries(RetryStrategy):
    """Tries again, but for what must not be repeated."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        uncertain = isinstance(exception, EmailUncertain)
        return None if uncertain else super().get_retry_decision(exception=exception, job=job)


def send_once(key: str, kind: str, email: EmailMessage) -> None:
    """Send unless it was sent. Raises EmailUncertain, or what the mail server's refusal raised."""
    if SentEmail.objects.filter(key=key, sent_at__isnull=False).exists():
        return
    email.extra_headers["Message-ID"] = emails.message_id(key)
    try:
        with contextlib.closing(mail.get_connection()) as email.connection:
            connections.release()
            email.connection.open()  # what fails here has sent nothing
            # Committed before the e-mail leaves, so that whoever comes after our death knows that it may have left.
            _, first = SentEmail.objects.get_or_create(key=key, defaults={"sent_at": None})
            with transaction.atomic():
                entry = SentEmail.objects.select_for_update().get(key=key)  # a second runner waits here
                if entry.sent_at is not None:
                    return
                if not first:
                    raise EmailUncertain(key)
                refusal = _hand_over(entry, email)
            if refusal is not None:
                raise refusal
            events.publish(events.EmailSent(kind=kind))
    except Exception as error:
        events.publish_now(events.EmailFailed(kind=kind, error=type(error).__name__))
        raise


def _hand_over(entry: SentEmail, email: EmailMessage) -> Exception | None:
    """Send, and write down that it has left; what the mail server said against it, if it did: it may be retried.

    Raises EmailUncertain when the server was lost over it.
    """
    try:
        email.send()
    except _LOST as error:
        raise EmailUncertain(entry.key) from error
    except Exception as refusal:
        entry.delete()
        return refusal
    entry.sent_at = timezone.now()
    entry.save(update_fields=["sent_at"])
    return None
