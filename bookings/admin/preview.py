"""What the customer's page says, for staff to read: without its link and its buttons."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from bookings.models import Booking
from bookings.scheduling import corrections


def preview(request: HttpRequest, model_admin: admin.ModelAdmin, booking: Booking) -> HttpResponse:
    """The page. What staff do with a visit they do in the admin, where the history names them."""
    now = timezone.now()
    context = model_admin.admin_site.each_context(request) | {
        "title": f"What the customer of {booking} sees",
        "opts": model_admin.opts,
        "booking": booking,
        "service": booking.service,
        "changeable": booking.can_be_changed(now),
        "correctable": corrections.is_correctable(booking, now),
    }
    return TemplateResponse(request, "admin/bookings/booking/preview.html", context)
