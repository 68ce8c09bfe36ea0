"""A quote behind its mailed link, and the booking pages of one that was accepted. GET shows, POST accepts."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from bookings.basket import QUOTE, Basket
from bookings.models import Booking, Quote
from bookings.ratelimit import limits
from bookings.scheduling import QuoteGone, quotes
from bookings.views.errors import wait_a_while
from bookings.views.manage import dead_link

_PAGE = "bookings/quote.html"
_DEAD = "bookings/quote_gone.html"


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def quote(request: HttpRequest, token: str) -> HttpResponse:
    """What is offered and what became of it; POST accepts it and leads to the free windows. 409 where that is late."""
    try:
        found = Quote.objects.for_link(token)
    except Quote.DoesNotExist:
        return dead_link(request, _DEAD)
    if request.method != "POST":
        return page(request, found)
    if seconds := limits.wait(request, limits.Purpose.BOOKING):
        return wait_a_while(request, seconds, _PAGE, _context(found))
    try:
        quotes.accept(quote=found)
    except QuoteGone as refusal:
        return refused(request, refusal)
    return redirect(found if found.state == Quote.State.BOOKED else windows(found))


def page(request: HttpRequest, found: Quote, status: int = 200) -> HttpResponse:
    """The quote as it stands, with the next step. `status` 409: something was asked of it that cannot be done."""
    return render(request, _PAGE, _context(found) | {"refused": status == 409}, status=status)


def refused(request: HttpRequest, refusal: QuoteGone) -> HttpResponse:
    """What became of the quote that something was asked of: 409, or 404 where it was erased meanwhile."""
    found = Quote.objects.with_lines().filter(pk=refusal.quote.pk).first()
    return page(request, found, status=409) if found else dead_link(request, _DEAD)


def windows(found: Quote) -> str:
    """The address of the free windows for what is quoted."""
    wanted = Basket.quoted(found)
    return f"{reverse('book', args=[wanted.service.slug])}?{wanted.query[1:]}"


def token_of(request: HttpRequest) -> str:
    """The token of the quote that the address or the form carries instead of jobs, or ""."""
    carried = (request.POST if request.method == "POST" else request.GET).getlist("job")
    return next((each.removeprefix(QUOTE) for each in carried if each.startswith(QUOTE) and len(each) > 20), "")


def basket(token: str) -> Basket | None:
    """What is quoted, whatever became of it: `judged` has looked, and the booking looks again under its lock."""
    try:
        return Basket.quoted(Quote.objects.for_link(token))
    except Quote.DoesNotExist:
        return None


def person(found: Quote | None) -> dict[str, str]:
    """What the details form knows of who asked for the quote."""
    if found is None:
        return {}
    asked = found.message
    return {"customer_name": asked.name, "customer_email": asked.email, "customer_phone": asked.phone}


def judged(view: Callable[[HttpRequest, str], HttpResponse]) -> Callable[[HttpRequest, str], HttpResponse]:
    """Let a booking page go on with a quote that is accepted; any other leads to its own page, which says why.

    What is posted of one whose visit is ahead goes on as well: it is the same form, sent again.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, slug: str) -> HttpResponse:
        if not (token := token_of(request)):
            return view(request, slug)
        try:
            found = Quote.objects.for_link(token)
        except Quote.DoesNotExist:
            return dead_link(request, _DEAD)
        posted = request.method == "POST"
        ahead = found.booking is not None and found.booking.is_open and found.state == Quote.State.BOOKED
        if found.state == Quote.State.ACCEPTED or (posted and ahead):
            return view(request, slug)
        return page(request, found, status=409) if posted else redirect(found)

    return wrapped


def _context(found: Quote) -> dict[str, Any]:
    booking = found.booking if found.state == Quote.State.BOOKED else None
    return {
        "quote": found,
        "basket": Basket.quoted(found),
        "state": found.state,
        "booking": booking if booking and _opens(booking) else None,
        "windows": windows(found),
        "section": "services",
    }


def _opens(booking: Booking) -> bool:
    """Whether its own page can still be opened."""
    return booking.erased_at is None and booking.link_expires_at > timezone.now()
