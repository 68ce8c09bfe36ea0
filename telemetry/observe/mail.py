"""The mail backend that stands before the real one (EMAIL_DELIVERY_BACKEND), so that sending is a span."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from django.utils.module_loading import import_string

from telemetry import traces, work


class EmailBackend(BaseEmailBackend):
    """Hands everything on; the span says how many messages, and never to whom."""

    def __init__(self, fail_silently: bool = False, **options: Any) -> None:
        super().__init__(fail_silently)
        self._delivery: BaseEmailBackend = import_string(settings.EMAIL_DELIVERY_BACKEND)(
            fail_silently=fail_silently, **options
        )

    def open(self) -> bool | None:
        return self._delivery.open()

    def close(self) -> None:
        self._delivery.close()

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        sending = traces.span("email.send", kind="client", attributes={"email.messages": len(messages)})
        with sending, work.doing("mail"):
            return self._delivery.send_messages(messages)
