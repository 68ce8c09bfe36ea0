"""Bookings that stand where somebody will not be working."""

from collections.abc import Iterable
from datetime import datetime

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join

from bookings import crew, diary
from bookings.availability import Calendar, Shift, is_at_work
from bookings.models import Booking, Handyman, Status, TimeOff

# What a warning lists at most; the schedule marks every one of them.
LISTED = 20


def visits_to_come() -> QuerySet[Booking]:
    """Bookings that somebody is still expected at, in order of time."""
    return (
        Booking.objects.filter(status__in=(Status.HELD, Status.CONFIRMED), ends_at__gt=timezone.now())
        .select_related("service", "handyman")
        .order_by("starts_at")
    )


def during_time_off(absences: Iterable[TimeOff]) -> QuerySet[Booking]:
    """Visits to come that overlap any of these absences. The buffer after a visit may fall into one."""
    overlap = Q(pk__in=())
    for absence in absences:
        overlap |= Q(handyman=absence.handyman_id, starts_at__lt=absence.ends_at, ends_at__gt=absence.starts_at)
    return visits_to_come().filter(overlap)


def outside_hours(handyman: Handyman) -> QuerySet[Booking]:
    """Visits to come that do not lie within their handyman's working hours. The buffer after a visit need not."""
    hours = handyman.working_hours.values_list("weekday", "start", "end")
    calendar, zone = Calendar(handyman.pk, [Shift(*each) for each in hours]), diary.rules().zone
    visits = visits_to_come().filter(handyman=handyman)
    outside = [each.pk for each in visits if not is_at_work(calendar, zone, each.starts_at, each.ends_at)]
    return visits.filter(pk__in=outside)


def between(start: datetime, end: datetime) -> QuerySet[Booking]:
    """Everybody's visits to come that overlap this time."""
    return visits_to_come().filter(starts_at__lt=end, ends_at__gt=start)


def warn(request: HttpRequest, clashing: QuerySet[Booking], reason: str) -> None:
    """Tell staff what is left to move or cancel.

    The absence is saved all the same: a handyman who is ill is ill, and no new customer should get that time.
    """
    found = list(crew.visible(clashing, request.user)[: LISTED + 1])
    if not found:
        return
    lines = format_html_join(
        "",
        '<li><a href="{}">{}, {}, {}</a> ({}, {}, {})</li>',
        (
            (
                reverse("admin:bookings_booking_change", args=[booking.pk]),
                date_format(timezone.localtime(booking.starts_at), "D j M H:i"),
                booking.service.name,
                booking.customer_name,
                booking.handyman.name,
                booking.postcode,
                booking.customer_phone,
            )
            for booking in found[:LISTED]
        ),
    )
    more = format_html("<li>and more: see the schedule</li>") if len(found) > LISTED else ""
    messages.warning(
        request,
        format_html("Saved, but {} These bookings must be moved or cancelled: <ul>{}{}</ul>", reason, lines, more),
    )
