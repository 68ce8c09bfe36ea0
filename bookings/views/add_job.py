"""Another job in a visit that is booked: the page behind its signed link."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from bookings import scheduling
from bookings.models import Booking, BookingEvent, Service
from bookings.ratelimit import limits
from bookings.scheduling import jobs
from bookings.views.errors import wait_a_while
from bookings.views.manage import by_link

_CUSTOMER = BookingEvent.By.CUSTOMER


@by_link
@require_http_methods(["GET", "HEAD", "POST"])
def add_job(request: HttpRequest, booking: Booking) -> HttpResponse:
    """GET shows what fits into the visit, with prices; POST `job` (slug and offer as shown) and `position` adds one.

    409 where it does not fit (any more), or another price was shown.
    """
    if request.method != "POST":
        return _page(request, booking)
    if pause := limits.wait(request, limits.Purpose.BOOKING):
        return wait_a_while(request, pause, "bookings/add_job.html", _context(booking, "too_often"))
    slug, _, offer = request.POST.get("job", "").partition(" ")
    service = Service.objects.active().filter(slug=slug).first() if slug.isprintable() else None
    if service is None or service.offer != offer or service.deposit:
        return _page(request, booking, "changed")
    position = request.POST.get("position", "")
    try:
        place = int(position) if position.isdecimal() and len(position) < 3 else 0
        scheduling.add_job(booking=booking, service=service, position=place, by=_CUSTOMER)
    except scheduling.SchedulingError as refusal:
        return _page(request, Booking.objects.with_jobs().get(pk=booking.pk), refusal.code)
    return redirect(f"{booking.get_absolute_url()}?done=job")


def _page(request: HttpRequest, booking: Booking, problem: str = "") -> HttpResponse:
    if not problem and not jobs.is_open_for_more(booking, _CUSTOMER, timezone.now()):
        return redirect(booking)
    return render(request, "bookings/add_job.html", _context(booking, problem), status=409 if problem else 200)


def _context(booking: Booking, problem: str) -> dict[str, object]:
    now = timezone.now()
    more = jobs.is_open_for_more(booking, _CUSTOMER, now)
    fitting = jobs.that_fit(booking, Service.objects.active(), _CUSTOMER, now) if more else []
    return {"booking": booking, "service": booking.service, "fitting": fitting, "problem": problem}
