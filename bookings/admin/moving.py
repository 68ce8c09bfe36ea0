"""Moving a visit: its free windows as buttons, or a time of one's own with what it would break said first.

The page works without a script. The schedule's script posts to it as well, and asks it for the same sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.http import urlencode

from bookings import scheduling
from bookings.admin import why_not
from bookings.admin.audit import record, staff_user
from bookings.admin.fields import MomentWidget
from bookings.admin.forms import GONE, STAFF, refusal
from bookings.admin.office import OfficeAdmin
from bookings.admin.windows import asked_day, windows
from bookings.forms import read_instant
from bookings.models import Booking, Handyman


class TimeForm(forms.Form):
    starts = forms.SplitDateTimeField(required=False, widget=MomentWidget(step=5))


@dataclass(frozen=True)
class Target:
    """Where a visit is to go: what a button, or the two boxes, say. `handyman` is None for whoever is free.

    `gone`: one was chosen who does not work here any more.
    """

    starts_at: datetime | None
    handyman: Handyman | None
    overtime: bool = False
    gone: bool = False

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Target:
        """From "2031-06-04T09:00:00Z", "2031-06-04T09:00:00Z 7" or "2031-06-04T09:00:00Z 7 overtime" (`take`)."""
        text, _, how = str(given.get("take", "")).partition(" ")
        who, _, overtime = how.partition(" ")
        boxes = TimeForm(given)
        starts_at = read_instant(text) or (boxes.cleaned_data["starts"] if boxes.is_valid() else None)
        chosen = who or str(given.get("who", ""))
        handyman = _handyman(chosen)
        return cls(starts_at, handyman, overtime == "overtime", gone=bool(chosen) and handyman is None)


def move(request: HttpRequest, of: OfficeAdmin, booking: Booking) -> HttpResponse:
    """GET shows where the visit could go, a POST of `take` moves it if it is as the page had shown it."""
    given = request.POST.dict() if request.method == "POST" else request.GET.dict()
    chosen, _, value = given.pop("show", "").partition(":")
    if chosen in ("who", "first"):
        given[chosen] = value
    target = Target.read(given)
    if request.method == "POST" and target.gone:
        messages.error(request, f"Not moved. {GONE}")
        return _page(request, of, booking, target, given, status=409)
    if request.method == "POST" and "take" in request.POST and target.starts_at:
        return _move(request, of, booking, target, target.starts_at)
    return _page(request, of, booking, target, given)


def ask(request: HttpRequest, of: OfficeAdmin, booking: Booking) -> HttpResponse:
    """As JSON what speaks against a time and a handyman (`take`): what the schedule says while a visit is moved."""
    target = Target.read(request.GET)
    if target.starts_at is None or target.handyman is None:
        raise BadRequest("Missing time or handyman.")
    found = why_not.findings(
        service=booking, starts_at=target.starts_at, handyman=target.handyman, moving=booking, user=request.user
    )
    if not found:
        return JsonResponse({"free": False, "overtime": False, "says": why_not.nobody(booking, target.handyman)})
    (each,) = found
    says = f"{each.sentence} {each.remedy}".strip()
    return JsonResponse({"free": each.is_free, "overtime": each.answer.overtime, "says": says})


def _move(request: HttpRequest, of: OfficeAdmin, booking: Booking, target: Target, starts_at: datetime) -> HttpResponse:
    """What was chosen is kept where it is refused, or the visit has changed meanwhile."""
    kept = {"take": f"{starts_at:%Y-%m-%dT%H:%M:%SZ}", "who": str(target.handyman.pk) if target.handyman else ""}
    with of.as_shown(request, Booking.objects.filter(pk=booking.pk)) as as_shown:
        if not as_shown:
            current = Booking.objects.with_jobs().get(pk=booking.pk)
            return _page(request, of, current, target, kept, status=409)
        try:
            moved = scheduling.move(
                booking=booking,
                starts_at=starts_at,
                handyman=target.handyman,
                by=STAFF,
                user=staff_user(request),
                overtime=target.overtime,
            )
        except scheduling.SchedulingError as error:
            messages.error(request, f"Not moved. {refusal(error)}")
            return _page(request, of, booking, target, kept, status=409)
        record(request, [moved], "moved")
    start = timezone.localtime(moved.starts_at)
    told = "The customer gets an e-mail." if moved.customer_email else "Call the customer: they have no e-mail address."
    messages.success(request, f"Moved to {date_format(start, 'D j M, H:i')} with {moved.handyman}. {told}")
    if "next" not in request.POST:
        return redirect("admin:bookings_booking_change", booking.pk)
    day, _, whose = request.POST["next"].partition(" ")
    shown = {"day": str(asked_day({"day": day}, "day") or start.date())}
    if whose.isdecimal():
        shown["handyman"] = whose
    return redirect(f"{reverse('admin:bookings_booking_day')}?{urlencode(shown)}")


def _page(
    request: HttpRequest,
    of: OfficeAdmin,
    booking: Booking,
    target: Target,
    given: Mapping[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    findings = None
    if target.starts_at and booking.is_open:
        findings = why_not.findings(
            service=booking, starts_at=target.starts_at, handyman=target.handyman, moving=booking, user=request.user
        )
    first = asked_day(given, "first")
    context = of.admin_site.each_context(request) | {
        "title": f"Move {booking.customer_name}'s visit",
        "opts": of.opts,
        "booking": booking,
        "handyman": target.handyman,
        "starts_at": target.starts_at,
        "given": given,
        "form": TimeForm(initial={"starts": target.starts_at or booking.starts_at}),
        "findings": findings,
        "nobody": why_not.nobody(booking, target.handyman),
        "windows": windows(booking, handyman=target.handyman, first=first, moving=booking) if booking.is_open else None,
    }
    return TemplateResponse(request, "admin/bookings/booking/move.html", context, status=status)


def _handyman(pk: str) -> Handyman | None:
    return Handyman.objects.active().filter(pk=int(pk)).first() if pk.isdecimal() and len(pk) < 19 else None
