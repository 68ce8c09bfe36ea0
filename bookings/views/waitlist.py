"""First in line: asking for an earlier time, and the page behind the mailed link. GET shows, POST acts."""

from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bookings import country, scheduling
from bookings.forms import WeekForm
from bookings.models import Booking, Handyman, Service, Status, WaitlistEntry, new_idempotency_key
from bookings.ratelimit import limits
from bookings.scheduling import errors, waitlist
from bookings.views import booking as booking_views
from bookings.views.errors import wait_a_while
from bookings.views.manage import by_link, dead_link
from bookings.views.payment import to_stripe
from bookings.waitlist_form import SuitsForm, WaitlistForm

_AHEAD = timedelta(days=14)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def join(request: HttpRequest, slug: str) -> HttpResponse:
    """The form for a visit that is not booked yet (`?day=`, `?handyman=`); POST puts in line, once it is confirmed.

    The answer is the same whether or not the address is known. 422 for what cannot be used, 429 for too often, 409
    where the handyman does not do the job any more, 404 with other jobs where it is gone.
    """
    service = Service.objects.active().filter(slug=slug).first()
    if service is None:
        return booking_views.service_gone(request, slug)
    asked = request.POST if request.method == "POST" else request.GET
    skilled = Handyman.objects.skilled_in(service)
    handyman = next((each for each in skilled if each.slug == asked.get("handyman")), None)
    context: dict[str, Any] = {"service": service, "handyman": handyman, "section": "services"}
    if request.method != "POST":
        known = {"last_day": _wanted(request), "postcode": country.read_postcode(request.GET.get("postcode"))}
        form = WaitlistForm(initial={"key": new_idempotency_key(), **known})
        return render(request, "bookings/waitlist_join.html", context | {"form": form})
    if pause := limits.wait(request, limits.Purpose.BOOKING):
        return _wait(request, pause, context)
    form = WaitlistForm(request.POST)
    gone = bool(asked.get("handyman")) and handyman is None
    if form.is_valid() and not gone:
        if pause := limits.wait(request, limits.Purpose.WAITLIST):
            return _wait(request, pause, context)
        if _joined(service, handyman, form):
            return redirect("waitlist_thanks")
    limits.give_back(request, limits.Purpose.BOOKING)
    context |= {"form": form, "wrong": bool(form.errors), "gone": gone}
    return render(request, "bookings/waitlist_join.html", context, status=409 if gone else 422)


def _wait(request: HttpRequest, pause: limits.Pause, context: dict[str, Any]) -> HttpResponse:
    typed = WaitlistForm(initial=_typed(request))
    return wait_a_while(request, pause, "bookings/waitlist_join.html", context | {"form": typed})


def _joined(service: Service, handyman: Handyman | None, form: WaitlistForm) -> bool:
    try:
        waitlist.join(
            service=service,
            handyman=handyman,
            customer=form.customer(),
            suits=form.suits(),
            last_day=form.cleaned_data["last_day"],
            idempotency_key=form.cleaned_data["key"],
        )
    except scheduling.OutOfArea:
        form.refuse_postcode()
        return False
    return True


@require_safe
def thanks(request: HttpRequest) -> HttpResponse:
    return render(request, "bookings/waitlist_thanks.html", {"section": "services"})


@by_link
@require_http_methods(["GET", "HEAD", "POST"])
def join_with(request: HttpRequest, booking: Booking) -> HttpResponse:
    """The form of a booked visit: days and hours; POST puts its customer in line for an earlier time."""
    if booking.status != Status.CONFIRMED or not booking.can_be_changed(timezone.now()) or not booking.customer_email:
        return redirect(booking)
    context: dict[str, Any] = {"booking": booking, "service": booking.service}
    if request.method != "POST":
        form = SuitsForm(initial={"key": new_idempotency_key()})
        return render(request, "bookings/waitlist_join.html", context | {"form": form})
    if pause := limits.wait(request, limits.Purpose.BOOKING):
        typed = SuitsForm(initial=_typed(request))
        return wait_a_while(request, pause, "bookings/waitlist_join.html", context | {"form": typed})
    form = SuitsForm(request.POST)
    if not form.is_valid():
        return render(request, "bookings/waitlist_join.html", context | {"form": form, "wrong": True}, status=422)
    try:
        waitlist.join_with(booking=booking, suits=form.suits(), idempotency_key=form.cleaned_data["key"])
    except scheduling.SchedulingError:  # it was cancelled, or is too near, at this moment
        return redirect(booking)
    return redirect(f"{booking.get_absolute_url()}?done=earlier")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def entry(request: HttpRequest, token: str) -> HttpResponse:
    """What somebody waits for, and what they are offered. POST `action=confirm`, `leave`, or `take` or `decline`
    with `offer`. 404 for a link that opens nothing, 409 where the offered time is gone.
    """
    try:
        found = WaitlistEntry.objects.for_link(token)
    except WaitlistEntry.DoesNotExist:
        return dead_link(request)
    if request.method != "POST":
        return _page(request, found)
    if seconds := limits.wait(request, limits.Purpose.BOOKING):
        return wait_a_while(request, seconds)
    match request.POST.get("action"):
        case "confirm":
            waitlist.confirm(entry=found)
        case "leave":
            waitlist.leave(entry=found)
        case "take" | "decline" as answer:
            return _answer(request, found, takes=answer == "take")
        case _:
            return _page(request, found, status=422)
    return redirect(found)


def _answer(request: HttpRequest, found: WaitlistEntry, *, takes: bool) -> HttpResponse:
    """Take or decline the offer that the page had shown, and no other."""
    shown, deposit = request.POST.get("offer", ""), request.POST.get("deposit", "")[:9]
    offer = (
        found.offers.filter(pk=int(shown[:18])).select_related("entry__service").first() if shown.isdecimal() else None
    )
    if offer is None:
        return _page(request, found, gone=True, status=409)
    if not takes:
        waitlist.decline(offer=offer)
        return redirect(found)
    try:
        booking = waitlist.take(offer=offer, deposit=int(deposit) if deposit.isdecimal() else 0)
    except errors.DepositChanged:
        found.service.refresh_from_db()
        return _page(request, found, changed=True, status=409)
    except scheduling.SchedulingError:
        return _page(request, found, gone=True, status=409)
    if booking.status == Status.HELD:
        return to_stripe(booking)
    return redirect(
        f"{booking.get_absolute_url()}?done=move" if found.booking else "booking_confirmed", booking.link_token
    )


def _page(
    request: HttpRequest, found: WaitlistEntry, *, gone: bool = False, changed: bool = False, status: int = 200
) -> HttpResponse:
    context = {
        "entry": found,
        "service": found.service,
        "booking": found.booking,
        "offer": found.open_offer,
        "gone": gone,
        "changed": changed,
    }
    return render(request, "bookings/waitlist_entry.html", context, status=status)


def _wanted(request: HttpRequest) -> date:
    """The last day that the form suggests: the one looked at, or two weeks from now."""
    asked = WeekForm(request.GET)
    asked.is_valid()  # an unreadable day counts as none chosen
    return asked.cleaned_data.get("day") or timezone.localdate() + _AHEAD


def _typed(request: HttpRequest) -> dict[str, Any]:
    return {**request.POST.dict(), "weekdays": request.POST.getlist("weekdays")}
