"""All visits of one customer, behind a mailed link. GET shows a button, so that mail scanners use nothing up."""

from collections.abc import Callable
from functools import wraps
from io import BytesIO

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import forms
from bookings.models import Status
from bookings.personal_data import archive, erasure, own_page, records
from bookings.ratelimit import limits
from bookings.views import booking as booking_views
from bookings.views.errors import wait_a_while
from bookings.views.manage import dead_link

MOST = 50
"""Visits that the page lists."""


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def ask(request: HttpRequest) -> HttpResponse:
    """The form for an e-mail address; POST sends the link there and answers the same, whether it is known or not."""
    if request.method != "POST":
        return render(request, "bookings/own_ask.html", {"form": forms.AddressForm()})
    if pause := limits.wait(request, limits.Purpose.CONTACT):
        kept = {"form": forms.AddressForm(initial=request.POST.dict())}
        return wait_a_while(request, pause, "bookings/own_ask.html", kept)
    form = forms.AddressForm(request.POST)
    if not form.is_valid():
        limits.give_back(request, limits.Purpose.CONTACT)
        return render(request, "bookings/own_ask.html", {"form": form, "wrong": True}, status=422)
    own_page.ask(form.cleaned_data["email"])
    return redirect("own_sent")


@require_safe
def sent(request: HttpRequest) -> HttpResponse:
    return render(request, "bookings/own_sent.html")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def opened(request: HttpRequest, token: str) -> HttpResponse:
    """The mailed link: GET has the button, POST uses the link up and leads to the page."""
    if request.method != "POST":
        return render(request, "bookings/own_open.html") if own_page.can_be_opened(token) else _gone(request)
    try:
        return redirect("own_page", own_page.open_page(token))
    except own_page.LinkGone:
        return _gone(request)


def by_page(view: Callable[[HttpRequest, str, str], HttpResponse]) -> Callable[[HttpRequest, str], HttpResponse]:
    """Give the view the token and the address whose page is open; 404 with the way to a new link otherwise."""

    @wraps(view)
    def wrapped(request: HttpRequest, token: str) -> HttpResponse:
        try:
            email = own_page.address_of(token)
        except own_page.LinkGone:
            return _gone(request)
        if request.method == "POST" and (pause := limits.wait(request, limits.Purpose.BOOKING)):
            return wait_a_while(request, pause)
        return view(request, token, email)

    return never_cache(wrapped)


@by_page
@require_safe
def page(request: HttpRequest, token: str, email: str) -> HttpResponse:
    return _page(request, token, email)


@by_page
@require_POST
def again(request: HttpRequest, token: str, email: str) -> HttpResponse:
    """The booking form for the visit `booking` again, with everything filled in and the first free windows."""
    pk = request.POST.get("booking", "")
    visit = get_object_or_404(own_page.visits(email), pk=int(pk[:18]) if pk.isdecimal() else 0)
    return booking_views.again(request, visit)


@by_page
@require_POST
def export(request: HttpRequest, token: str, email: str) -> HttpResponse:
    """Everything that is kept under the address, as a zip."""
    file = BytesIO()
    archive.write(email, file)
    headers = {"Content-Disposition": f'attachment; filename="my-data-{timezone.localdate()}.zip"'}
    return HttpResponse(file.getvalue(), content_type="application/zip", headers=headers)


@by_page
@require_POST
def erase(request: HttpRequest, token: str, email: str) -> HttpResponse:
    """Forget the customer, if they have ticked that they are sure and no visit is ahead."""
    if "sure" not in request.POST:
        return _page(request, token, email, "sure", 422)
    try:
        erasure.erase(email)
    except erasure.UpcomingVisits:
        return _page(request, token, email, "ahead", 409)
    return redirect("own_erased")


@require_safe
def erased(request: HttpRequest) -> HttpResponse:
    return render(request, "bookings/own_erased.html")


def _page(request: HttpRequest, token: str, email: str, problem: str = "", status: int = 200) -> HttpResponse:
    now = timezone.now()
    visits = list(own_page.visits(email)[:MOST])
    coming = [each for each in reversed(visits) if each.is_open and each.ends_at > now]
    context = {
        "token": token,
        "email": email,
        "problem": problem,
        "coming": coming,
        "past": [each for each in visits if each not in coming and each.status != Status.HELD],
        "waiting": records.of(email).waiting.filter(ended_at=None).select_related("service"),
    }
    return render(request, "bookings/own_page.html", context, status=status)


def _gone(request: HttpRequest) -> HttpResponse:
    """A link that opens nothing; who tries many is asked to wait."""
    return dead_link(request, "bookings/own_gone.html")
