"""What handymen and the office are notified of, and when it is due.

A row of Notification is written in the transaction of each change, so the two stand or fall together. Every minute
`hand_over` makes one task of all that is due to one recipient; what the e-mail says is in `emails.notification_email`.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from procrastinate.contrib.django import app

from bookings.kept_query import KeptQuery, columns, instance
from bookings.models import Booking, BookingEvent, Handyman, HowOften, Notification, OfficeContact, Status
from bookings.slots import rules

_Kind = BookingEvent.Kind
_MADE = (_Kind.CREATED, _Kind.CONFIRMED, _Kind.REINSTATED)
_OFFICE_ONLY = (_Kind.COULD_NOT, _Kind.REPORTED)
_NOTIFIED = (*_MADE, _Kind.MOVED, _Kind.ADDED, _Kind.CANCELLED, _Kind.CORRECTED, *_OFFICE_ONLY)

DIGEST_AT = time(7)
"""Local time of the daily e-mail: before the first visit of the day."""
BETWEEN = timedelta(minutes=5)
"""The least time from one e-mail to the next to one recipient; what changes meanwhile comes together in the next."""
MOST_IN_ONE = 100
"""Changes that one e-mail tells of; the rest is counted."""

_Recipient = Handyman | OfficeContact
_RECIPIENTS: dict[str, type[_Recipient]] = {"handyman": Handyman, "contact": OfficeContact}


def create_office_contact(using: str, **_: Any) -> None:
    """Have STAFF_EMAIL notified where nobody in the office is listed; a receiver of post_migrate."""
    if not OfficeContact.objects.using(using).exists():
        OfficeContact.objects.using(using).get_or_create(email="")


def add(event: BookingEvent) -> None:
    """Keep a change for everyone who wants to know of it: the handyman who has the visit, who had it, the office."""
    if event.kind not in _NOTIFIED or not _is_certain(event.booking, event):
        return
    office_only = event.kind in _OFFICE_ONLY  # the handyman himself has reported it
    theirs = {each for each in (event.booking.handyman, event.was_with) if each is not None and not office_only}
    handymen = [each for each in theirs if each.is_notified]
    contacts = [each for each in _office() if each.is_notified]
    Notification.objects.bulk_create(
        [Notification(event=event, handyman=each) for each in handymen]
        + [Notification(event=event, contact=each) for each in contacts]
    )


def _office() -> list[OfficeContact]:
    return [instance(OfficeContact, row) for row in _contacts().rows()]


@cache
def _contacts() -> KeptQuery:
    return KeptQuery(lambda: OfficeContact.objects.values_list(*columns(OfficeContact)))


def _is_certain(booking: Booking, event: BookingEvent) -> bool:
    """Whether the booking is, or was before it was cancelled, more than a slot held for somebody."""
    if event.kind == _Kind.CANCELLED:
        return booking.events.filter(kind__in=_MADE).exists()
    return booking.status != Status.HELD


def hand_over(now: datetime | None = None) -> int:
    """Turn what is due into one task for each recipient, and forget the rest; returns how many tasks.

    State alone decides what is due, so a minute that is missed, or done twice, changes nothing.
    """
    now, made = now or timezone.now(), 0
    for kind, model in _RECIPIENTS.items():
        waiting = Notification.objects.filter(**{f"{kind}__isnull": False}).values_list(kind, flat=True)
        for pk in waiting.order_by(kind).distinct():
            with transaction.atomic():
                recipient = model.objects.select_for_update(no_key=True).get(pk=pk)
                made += _hand_over(f"{kind}:{pk}", recipient, now)
    return made


def _hand_over(name: str, recipient: _Recipient, now: datetime) -> bool:
    if not recipient.is_notified:
        recipient.pending.all().delete()
        return False
    due = list(_due(recipient, now).order_by("event_id"))
    if not due:
        return False
    told = [each.event_id for each in due[-MOST_IN_ONE:]]
    Notification.objects.filter(pk__in=[each.pk for each in due]).delete()
    recipient.notified_at = now
    recipient.save(update_fields=["notified_at"])
    app.configure_task(name="send_notifications").defer(recipient=name, event_ids=[*told], more=len(due) - len(told))
    return True


def _due(recipient: _Recipient, now: datetime) -> QuerySet[Notification]:
    pending: QuerySet[Notification] = recipient.pending.all()
    if recipient.notifications == HowOften.AT_ONCE:
        waits = recipient.notified_at is not None and now - recipient.notified_at < BETWEEN
        return pending.none() if waits else pending
    digest = rules.instant(timezone.localdate(now), DIGEST_AT, ZoneInfo(settings.BUSINESS_TIME_ZONE))
    had_today = recipient.notified_at is not None and recipient.notified_at >= digest
    return pending.none() if now < digest or had_today else pending.filter(event__at__lt=digest)


def recipient(name: str) -> _Recipient | None:
    """Whom a task names, if they still want to be notified."""
    kind, _, pk = name.partition(":")
    found = _RECIPIENTS[kind].objects.filter(pk=pk).first()
    return found if found is not None and found.is_notified else None


def changes(event_ids: Sequence[int]) -> list[BookingEvent]:
    """These rows of history, in order, with what an e-mail says of them."""
    rows = BookingEvent.objects.filter(pk__in=event_ids).order_by("pk")
    related = rows.select_related("booking__service", "booking__handyman", "was_with", "user")
    return list(related.prefetch_related("booking__lines"))
