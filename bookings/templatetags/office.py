"""What the pages of the admin show of the business."""

from datetime import UTC, date

from django import template
from django.db.models import Model
from django.utils.html import format_html

from bookings.admin import panels
from bookings.admin.axis import axis_start
from bookings.admin.compared import SHOWN, shown
from bookings.admin.desk import Desk

register = template.Library()


@register.simple_tag
def as_shown(row: Model) -> str:
    """A hidden field that says how this page shows the row, so that nothing is done to it once it has changed."""
    return format_html('<input type="hidden" name="{}" value="{}">', SHOWN, shown(row))


@register.simple_tag(takes_context=True)
def office_desk(context: template.Context) -> Desk:
    """What the admin's first page shows to its user."""
    return Desk(context["request"].user)


@register.simple_tag
def office_panels(desk: Desk) -> list[panels.Panel]:
    """What waits for the user of the admin's first page."""
    return panels.of(desk)


@register.simple_tag
def axis_begins(day: date, hour: int) -> str:
    """The instant at which a column of the schedule begins, in UTC."""
    return f"{axis_start(day, hour).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
