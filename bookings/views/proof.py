"""Proving the e-mail address of a booking that is held for it, by the button behind the e-mail's link."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from bookings import scheduling
from bookings.messaging import links
from bookings.models import Booking, Status
from bookings.ratelimit import limits
from bookings.views.errors import wait_a_while
from bookings.views.manage import by_link, held_page, minutes_left


@by_link
@require_http_methods(["GET", "HEAD", "POST"])
def prove(request: HttpRequest, booking: Booking) -> HttpResponse:
    """GET says until when the slot is kept and, with `mail` of the e-mail's link, has the button; POST confirms.

    422 for a POST without the e-mail's `mail`. A booking that is not held (any more) has other pages.
    """
    if booking.status != Status.HELD:
        return redirect("booking_confirmed", booking.link_token)
    if hasattr(booking, "payment"):
        return redirect(held_page(booking))
    mail = (request.POST if request.method == "POST" else request.GET).get("mail", "")
    mailed = links.is_from_email(booking, mail)
    if request.method == "POST" and mailed:
        if seconds := limits.wait(request, limits.Purpose.BOOKING):
            return wait_a_while(request, seconds)
        return _confirm(booking, mail)
    left = minutes_left(booking)
    context = {"booking": booking, "service": booking.service, "kept": left > 0, "left": left}
    context |= {"mail": mail if mailed else "", "problem": bool(mail) and not mailed}
    return render(request, "bookings/prove.html", context, status=422 if request.method == "POST" else 200)


def _confirm(booking: Booking, mail: str) -> HttpResponse:
    try:
        made = scheduling.prove(booking=booking, mail=mail)
    except scheduling.SchedulingError:  # the hold ended at this moment
        return redirect(booking)
    return redirect("booking_confirmed", made.link_token)
