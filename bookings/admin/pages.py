"""The pages of the office beside Django's lists and forms, and who may open them."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from bookings.admin import moving
from bookings.admin.axis import axis
from bookings.admin.customers import customer
from bookings.admin.find import find
from bookings.admin.office import OfficeAdmin
from bookings.admin.preview import preview
from bookings.admin.schedule import schedule

_Page = Callable[..., HttpResponse]


def urls(of: OfficeAdmin, *, cancel: _Page, done: _Page) -> list[URLPattern]:
    """Under /admin/bookings/booking/. `cancel` and `done` do what the actions of the list do."""

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
        path("cancel/", of.admin_site.admin_view(cancel), name="bookings_booking_cancel"),
        page("find/", find, "booking_find", of.has_add_permission),
        page("<int:pk>/preview/", preview, "booking_preview", of.has_view_permission),
        page("<int:pk>/move/", moving.move, "booking_move", of.has_change_permission),
        page("<int:pk>/move/ask/", moving.ask, "booking_move_ask", of.has_change_permission),
        page("<int:pk>/done/", require_POST(done), "booking_done", of.has_change_permission),
    ]
