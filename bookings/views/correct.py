"""A customer corrects who a visit is for, and where, behind the booking's signed link."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from bookings import scheduling
from bookings.forms import DetailsForm
from bookings.models import Booking
from bookings.ratelimit import limits
from bookings.scheduling import corrections, idempotency
from bookings.scheduling.history import By
from bookings.views.errors import wait_a_while
from bookings.views.manage import by_link


@by_link
@require_http_methods(["GET", "HEAD", "POST"])
def correct(request: HttpRequest, booking: Booking) -> HttpResponse:
    """GET shows the details, POST corrects them; 422 for what cannot be used, 409 if they were changed meanwhile."""
    if not corrections.is_correctable(booking, timezone.now()):
        return redirect(booking)
    if request.method != "POST":
        return _page(request, booking, DetailsForm(initial=corrections.details_of(booking)))
    shown = request.POST.get("shown", "")
    if pause := limits.wait(request, limits.Purpose.BOOKING):
        typed = {"booking": booking, "form": DetailsForm(initial=request.POST.dict()), "shown": shown}
        return wait_a_while(request, pause, "bookings/correct.html", typed)
    form = DetailsForm(request.POST)
    if not form.is_valid():
        return _page(request, booking, form, 422, shown)
    try:
        corrected = corrections.correct(booking=booking, details=form.details(), by=By.CUSTOMER, shown=shown)
    except corrections.ChangedMeanwhile as refusal:
        form.show_conflicts(corrections.details_of(refusal.booking))
        return _page(request, refusal.booking, form, 409)
    except scheduling.TooFar:
        form.refuse_postcode(too_far=True)
        return _page(request, booking, form, 409, shown)
    except scheduling.TooManyUnproven:
        form.refuse_email()
        return _page(request, booking, form, 422, shown)
    except scheduling.NotPossible:
        return redirect(booking)
    return redirect(f"{corrected.get_absolute_url()}?done=details")


def _page(
    request: HttpRequest, booking: Booking, form: DetailsForm, status: int = 200, shown: str | None = None
) -> HttpResponse:
    """The form, with what it is compared with: the details as they are, unless an earlier page has `shown` others."""
    shown = idempotency.digest(corrections.details_of(booking)) if shown is None else shown
    context = {"booking": booking, "form": form, "shown": shown, "wrong": form.is_bound}
    return render(request, "bookings/correct.html", context, status=status)
