"""Time off: a handyman asks, the office decides. Only what is approved keeps customers from booking him."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from bookings import events
from bookings.models import Handyman, TimeOff, TimeOffRequest
from bookings.scheduling import idempotency


@transaction.atomic
def ask(*, handyman: Handyman, starts_at: datetime, ends_at: datetime, reason: str, key: str) -> TimeOffRequest:
    """Keep the request; the same form sent twice is one."""
    content = {"key": key, "handyman": handyman.pk, "from": starts_at, "until": ends_at, "reason": reason}
    request, made = TimeOffRequest.objects.get_or_create(
        key=idempotency.digest(content),
        defaults={"handyman": handyman, "starts_at": starts_at, "ends_at": ends_at, "reason": reason},
    )
    if made:
        events.publish(events.TimeOffAsked(handyman_id=handyman.pk))
    return request


@transaction.atomic
def decide(*, request: TimeOffRequest, approved: bool, user: User) -> bool:
    """Approve, which makes it time off, or decline; False where that was decided before.

    The handyman is locked as by whoever books him, so that a visit and the time off know of each other.
    """
    Handyman.objects.filter(pk=request.handyman_id).for_change()
    waiting = TimeOffRequest.objects.select_for_update().filter(pk=request.pk, status=TimeOffRequest.Status.WAITING)
    current = waiting.first()
    if current is None:
        return False
    current.status = TimeOffRequest.Status.APPROVED if approved else TimeOffRequest.Status.DECLINED
    current.decided_at, current.decided_by = timezone.now(), user
    current.save()
    if approved:
        TimeOff.objects.create(
            handyman_id=current.handyman_id,
            starts_at=current.starts_at,
            ends_at=current.ends_at,
            reason=current.reason,
        )
    return True
