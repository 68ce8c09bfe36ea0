"""The pages of the office beside Django's lists and forms, and who may open them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from bookings import scheduling
from bookings.admin import moving
from bookings.admin.axis import axis
from bookings.admin.customers import customer
from bookings.admin.find import find
from bookings.admin.preview import preview
from bookings.admin.schedule import schedule
from bookings.models import Booking

if TYPE_CHECKING:
    from bookings.admin.booking import BookingAdmin

_Page = Callable[..., HttpResponse]


def urls(of: BookingAdmin) -> list[URLPattern]:
    """Under /admin/bookings/booking/."""

    def page(route: str, view: _Page, name: str, allowed: Callable[[HttpRequest], bool]) -> URLPattern:
        def checked(request: HttpRequest, **named: Any) -> HttpResponse:
            if not allowed(request):
                raise PermissionDenied
            if "pk" in named:
                named = {"booking": get_object_or_404(of.get_queryset(request), pk=named["pk"])}
            return view(request, of, **named)

        return path(route, of.admin_site.admin_view(checked), name=f"bookings_{name}")

    return [
        page("schedule/", schedule, "booking_schedule", of.has_view_permission),
        page("day/", axis, "booking_day", of.has_view_permission),
        path("customer/", of.admin_site.admin_view(customer), name="bookings_customer"),
        path("cancel/", of.admin_site.admin_view(of.cancel_view), name="bookings_booking_cancel"),
        page("find/", find, "booking_find", of.has_add_permission),
        page("<int:pk>/preview/", preview, "booking_preview", of.has_view_permission),
        page("<int:pk>/move/", moving.move, "booking_move", of.has_change_permission),
        page("<int:pk>/move/ask/", moving.ask, "booking_move_ask", of.has_change_permission),
        page("<int:pk>/done/", require_POST(done), "booking_done", of.has_change_permission),
    ]


def done(request: HttpRequest, of: BookingAdmin, booking: Booking) -> HttpResponse:
    """Mark a visit as completed from a page that shows it, and go back to today."""
    chosen = Booking.objects.filter(pk=booking.pk)
    with of.as_shown(request, chosen) as as_shown:
        if as_shown:
            of.apply(request, chosen, "completed", scheduling.complete)
    return redirect("admin:index")
