"""Paying the deposit: the page of a held booking, the way to Stripe and back, and what Stripe tells by itself."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import events
from bookings.messaging import outbox
from bookings.models import Booking, Payment, Status
from bookings.payments import checkout, stripe_api, webhooks
from bookings.payments.tasks import look_again
from bookings.ratelimit import limits
from bookings.scheduling import errors
from bookings.views.errors import wait_a_while
from bookings.views.manage import by_link, minutes_left

QUICK_LOOKS = 8
"""Looks at the page that waits for Stripe before it says that an e-mail will follow."""
WEBHOOK_BYTES = 512 * 1024
"""More than any event of Stripe's has."""


def to_stripe(booking: Booking) -> HttpResponse:
    """Send the customer to Stripe; when Stripe cannot be had, to the booking's page, with the way to try again."""
    try:
        return redirect(checkout.start(booking=booking))
    except errors.NotPossible:
        return redirect("booking_pay", booking.link_token)
    except stripe_api.StripeFault:
        outbox.after_failed_checkout(booking)
        return redirect(reverse("booking_pay", args=[booking.link_token]) + "?problem=stripe")


@by_link
@require_http_methods(["GET", "HEAD", "POST"])
def pay(request: HttpRequest, booking: Booking) -> HttpResponse:
    """A held booking: until when it is kept, and the button that leads to Stripe (POST)."""
    pause = limits.wait(request, limits.Purpose.BOOKING) if request.method == "POST" else None
    if pause is not None and not pause:
        return to_stripe(booking)
    payment = getattr(booking, "payment", None)
    if payment is None or booking.status != Status.HELD:
        return _elsewhere(booking, payment)
    context = {
        "booking": booking,
        "service": booking.service,
        "payment": payment,
        "kept": checkout.can_be_paid(booking, payment, timezone.now()),
        "left": minutes_left(booking),
        "problem": request.GET.get("problem", ""),
    }
    page = "bookings/payment.html"
    return wait_a_while(request, pause, page, context) if pause else render(request, page, context)


@by_link
@require_safe
def paid(request: HttpRequest, booking: Booking) -> HttpResponse:
    """Back from Stripe: waits, by looking again, until Stripe has told us (or was asked) that it is paid."""
    payment = getattr(booking, "payment", None)
    if payment is None or payment.status != Payment.Status.OPEN:
        return _elsewhere(booking, payment)
    events.continue_from(payment.origin)
    look_again(payment.pk)
    looks = request.GET.get("look", "")
    look = min(int(looks), QUICK_LOOKS) if looks.isdecimal() and len(looks) < 4 else 0
    context = {
        "booking": booking,
        "service": booking.service,
        "payment": payment,
        "look": look + 1,
        "patient": look < QUICK_LOOKS,
    }
    response = render(request, "bookings/payment_wait.html", context)
    # A header and not a meta element: it works with and without JavaScript, and says nothing to who reads the page.
    response["Refresh"] = f"{2 if look < QUICK_LOOKS else 20}; url={request.path}?look={look + 1}"
    return response


@csrf_exempt
@require_POST
@never_cache
def webhook(request: HttpRequest) -> HttpResponse:
    """Stripe tells what happened. 200 once it is written down, 400 for what Stripe has not signed."""
    if not settings.STRIPE_SECRET_KEY or not settings.STRIPE_WEBHOOK_SECRET:
        raise Http404
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or int(length) > WEBHOOK_BYTES:
        return HttpResponse(status=413 if length else 411)
    try:
        webhooks.receive(request.body, request.headers.get("Stripe-Signature", ""))
    except webhooks.NotFromStripe:
        return HttpResponse(status=400)
    return HttpResponse(status=200)


def _elsewhere(booking: Booking, payment: Payment | None) -> HttpResponse:
    """Where to look for a booking whose deposit is not to be paid (any more)."""
    confirmed = booking.status == Status.CONFIRMED and not (payment and payment.goes_back)
    return redirect("booking_confirmed", booking.link_token) if confirmed else redirect(booking)
