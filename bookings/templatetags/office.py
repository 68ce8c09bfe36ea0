"""What the admin's first page says of the day."""

from datetime import timedelta
from typing import Any

from django import template
from django.db.models import Count, Model, Q
from django.utils import timezone
from django.utils.html import format_html

from bookings import crew
from bookings.admin.compared import SHOWN, shown
from bookings.models import Booking, ContactMessage, Status
from bookings.slots import calendars

register = template.Library()


@register.simple_tag
def as_shown(row: Model) -> str:
    """A hidden field that says how this page shows the row, so that nothing is done to it once it has changed."""
    return format_html('<input type="hidden" name="{}" value="{}">', SHOWN, shown(row))


@register.inclusion_tag("admin/_today.html", takes_context=True)
def office_today(context: template.Context) -> dict[str, Any]:
    """Today's visits, what has to be closed or confirmed, messages waiting; what the user may see of it."""
    may = context["request"].user.has_perm
    facts: dict[str, Any] = {}
    if may("bookings.view_booking") or may("bookings.change_booking") or may(crew.OWN):
        now, standing = timezone.now(), Booking.objects.filter(status=Status.CONFIRMED)
        begins = calendars.midnight(timezone.localdate(now))
        today = Q(starts_at__gte=begins, starts_at__lt=begins + timedelta(days=1))
        facts["bookings"] = crew.visible(standing, context["request"].user).aggregate(
            today=Count("pk", filter=today),
            tomorrow=Count("pk", filter=Q(starts_at__date=timezone.localdate(now) + timedelta(days=1))),
            todo=Count("pk", filter=Q(ends_at__lt=now)),
        )
    if may("bookings.view_contactmessage") or may("bookings.change_contactmessage"):
        facts["messages"] = ContactMessage.objects.unhandled().count()
    if may("bookings.view_service") or may("bookings.change_service"):
        facts["impossible"] = len(calendars.impossible())
    return facts
