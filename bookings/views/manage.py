"""A customer's own booking, behind its signed link. GET shows, POST moves or cancels: mail scanners follow links."""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bookings import scheduling
from bookings.forms import WeekForm, read_instant
from bookings.models import Booking, BookingEvent, Status
from bookings.ratelimit import limits
from bookings.scheduling import corrections, jobs, proofs
from bookings.slots.week import week
from bookings.views.errors import wait_a_while

_CONFLICTS = (scheduling.SlotTaken, scheduling.TooFar, scheduling.TooLate, scheduling.NotPossible)


def dead_link(request: HttpRequest, template: str = "bookings/link_gone.html") -> HttpResponse:
    """404 with the way to help, for a link that opens nothing; who tries many is asked to wait."""
    if pause := limits.wait(request, limits.Purpose.LINK):
        return wait_a_while(request, pause)
    return render(request, template, status=404)


def by_link(view: Callable[[HttpRequest, Booking], HttpResponse]) -> Callable[[HttpRequest, str], HttpResponse]:
    """Give the view the booking of a link; a forged, revoked or expired one gets a 404 page with the way to help.

    Who tries many gets 429; a link that opens is never refused.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, token: str) -> HttpResponse:
        try:
            booking = Booking.objects.for_link(token)
        except Booking.DoesNotExist:
            return dead_link(request)
        return view(request, booking)

    return never_cache(wrapped)


@by_link
@require_safe
def confirmed(request: HttpRequest, booking: Booking) -> HttpResponse:
    """The thanks; a booking that was cancelled or is over has only its own page."""
    now = timezone.now()
    if booking.status != Status.CONFIRMED or not corrections.is_correctable(booking, now):
        return redirect(booking)
    context = {"booking": booking, "service": booking.service, "changeable": booking.can_be_changed(now)}
    context["photos"] = booking.photos.from_customer().count()
    context["corrected"] = booking.events.filter(kind=BookingEvent.Kind.CORRECTED, by=BookingEvent.By.CUSTOMER).exists()
    return render(request, "bookings/confirmed.html", context)


@by_link
@require_safe
def ics(request: HttpRequest, booking: Booking) -> HttpResponse:
    from bookings.messaging import calendar_entry  # when it is used: icalendar takes 35 ms of a start

    entry = calendar_entry.invitation(booking)
    headers = {"Content-Disposition": f'attachment; filename="visit-{booking.reference}.ics"'}
    kind = f"text/calendar; charset=utf-8; method={entry['method']}"
    return HttpResponse(entry.to_ical(), content_type=kind, headers=headers)


@by_link
@require_http_methods(["GET", "HEAD", "POST"])
def manage(request: HttpRequest, booking: Booking) -> HttpResponse:
    """POST `action=move` with `start`, or `action=cancel`. Refused: 409 for a race or a deadline, 429, else 422."""
    if request.method != "POST":
        proofs.note_opened(booking, request.GET.get("mail", ""))
        return redirect(held_page(booking)) if booking.status == Status.HELD else _manage(request, booking)
    if pause := limits.wait(request, limits.Purpose.BOOKING):
        return wait_a_while(request, pause, "bookings/manage.html", _context(request, booking, "too_often"))
    start = read_instant(request.POST.get("start"))
    try:
        if request.POST.get("action") == "cancel":
            scheduling.cancel(booking=booking, by=BookingEvent.By.CUSTOMER)
        elif request.POST.get("action") == "move" and start:
            anybody = "anybody" in request.POST
            scheduling.move(booking=booking, starts_at=start, by=BookingEvent.By.CUSTOMER, anybody=anybody)
        else:
            return _manage(request, booking, "missing", 422)
    except scheduling.SchedulingError as refusal:
        booking.refresh_from_db()
        conflict = isinstance(refusal, _CONFLICTS)
        return _manage(request, booking, refusal.code, 409 if conflict else 422)
    return redirect(f"{booking.get_absolute_url()}?done={request.POST['action']}")


def held_page(booking: Booking) -> str:
    """The address of the page that says what a held booking waits for: its deposit, or the proof of its address."""
    return reverse("booking_pay" if hasattr(booking, "payment") else "booking_prove", args=[booking.link_token])


def minutes_left(booking: Booking) -> int:
    """How long a held booking is still kept, in minutes begun."""
    seconds = (booking.hold_expires_at - timezone.now()).total_seconds() if booking.hold_expires_at else 0
    return max(0, math.ceil(seconds / 60))


def _manage(request: HttpRequest, booking: Booking, problem: str = "", status: int = 200) -> HttpResponse:
    return render(request, "bookings/manage.html", _context(request, booking, problem), status=status)


def _context(request: HttpRequest, booking: Booking, problem: str) -> dict[str, Any]:
    now = timezone.now()
    context: dict[str, Any] = {
        "booking": booking,
        "service": booking.service,
        "problem": problem,
        "done": request.GET.get("done", ""),
        "changeable": booking.can_be_changed(now),
        "correctable": corrections.is_correctable(booking, now),
        "extendable": jobs.is_open_for_more(booking, BookingEvent.By.CUSTOMER, now),
    }
    if context["changeable"]:
        asked = WeekForm(request.GET)
        asked.is_valid()  # an unreadable day counts as none chosen
        day, first = asked.cleaned_data.get("day"), asked.cleaned_data.get("week")
        if not (day or first):
            day = timezone.localdate(booking.starts_at)
        asked_for = booking.handyman if booking.asked_for_handyman and "anybody" not in request.GET else None
        shown = week(
            service=booking,
            now=now,
            handyman=asked_for,
            day=day,
            first=first,
            ignoring=booking,
            postcode=booking.postcode,
        )
        anybody = "&anybody=1" if "anybody" in request.GET else ""
        context |= {"week": shown, "handyman": asked_for, "anybody": anybody}
    return context
