"""Booking by phone: who rings, which job, and a free window as a button. Nothing is typed twice, and no time at all.

One form, which each of its buttons posts: to show other windows with what was typed kept, to ask about a time of one's
own, or to book.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html

from bookings import country, crew
from bookings.admin import find, why_not
from bookings.admin.audit import staff_user
from bookings.admin.forms import CUSTOMER_FIELDS, INCOMPLETE, PhoneBookingForm
from bookings.admin.office import OfficeAdmin
from bookings.admin.windows import asked_day, windows
from bookings.basket import Basket
from bookings.forms import read_instant
from bookings.models import Booking, ContactMessage, Handyman, Service

_CHOICES = ("job", "who", "first")
"""What the buttons named `show` choose, such as "who:3", or "job:shelves:2".

Those named `take` book: "2031-06-04T09:00:00Z", for one handyman "2031-06-04T09:00:00Z 7", and out of hours
"2031-06-04T09:00:00Z 7 overtime".
"""


def book(request: HttpRequest, of: OfficeAdmin) -> HttpResponse:
    """The page; what it books is shown on the visit's own page."""
    if request.method != "POST":
        return _page(request, of, PhoneBookingForm(initial=_initial(request), basket=_basket(request)))
    posted, basket = _posted(request), _basket(request)
    if "show" in request.POST or "ask" in request.POST:
        return _page(request, of, PhoneBookingForm(initial=posted, basket=basket), asked="ask" in request.POST)
    form = PhoneBookingForm(posted, basket=basket)
    form.user = staff_user(request)
    if not form.is_valid():
        return _page(request, of, form, asked=True)
    of.log_addition(request, form.instance, [{"added": {}}])
    messages.success(request, _booked(form.instance))
    return redirect("admin:bookings_booking_change", form.instance.pk)


def _posted(request: HttpRequest) -> dict[str, Any]:
    """The form's fields, with what the pressed button stands for."""
    posted = request.POST.dict()
    chosen, _, value = posted.pop("show", "").partition(":")
    if chosen in _CHOICES:
        posted[chosen] = value
    if chosen == "job":
        posted["first"] = ""
    taken, _, how = posted.pop("take", "").partition(" ")
    if (instant := read_instant(taken)) is not None:
        start = timezone.localtime(instant)
        posted |= {"starts_0": f"{start:%Y-%m-%d}", "starts_1": f"{start:%H:%M}"}
    who, _, overtime = how.partition(" ")
    return posted | ({"who": who} if who else {}) | ({"overtime": "on"} if overtime else {})


def _basket(request: HttpRequest) -> Basket | None:
    """The jobs, in the order in which they were chosen: `job` is a service's slug and how many times, 0 for none."""
    given = request.POST if request.method == "POST" else request.GET
    quantities = dict(each.partition(":")[::2] for each in given.getlist("job"))
    kind, _, pressed = given.get("show", "").partition(":")
    if kind == "job":
        slug, _, times = pressed.partition(":")
        quantities[slug] = times
    wanted = [f"{slug}:{times}" for slug, times in quantities.items() if times != "0"]
    slugs = [each.partition(":")[0] for each in wanted]
    offered = {each.slug: each for each in Service.objects.active()} if slugs else {}
    first = next((offered[slug] for slug in slugs if slug in offered), None)
    return Basket.read(first, wanted) if first else None


def _initial(request: HttpRequest) -> dict[str, Any]:
    """From a row of the customer (`like`, `message`) or what was searched for (`new`); the schedule names a day."""
    asked = request.GET
    initial: dict[str, Any] = {name: asked[name] for name in ("who",) if asked.get(name, "").isdecimal()}
    if day := asked_day(asked, "day"):
        initial |= {"first": str(day), "starts_0": str(day)}
    if asked.get("new"):
        initial |= find.guessed(asked["new"][:100])
    if (row := _like(request)) is not None:
        initial |= {name: getattr(row, name) for name in CUSTOMER_FIELDS if name != "notes"} | {"like": row.pk}
    elif asked.get("message", "").isdecimal() and request.user.has_perm("bookings.view_contactmessage"):
        message = ContactMessage.objects.filter(pk=int(asked["message"][:18])).first()
        if message is not None:
            initial |= {"customer_name": message.name, "customer_email": message.email, "customer_phone": message.phone}
    return initial


def _like(request: HttpRequest) -> Booking | None:
    """The booking whose customer rings, where the user may see it."""
    pk = (request.POST if request.method == "POST" else request.GET).get("like", "")
    rows = crew.visible(Booking.objects.filter(erased_at=None), request.user)
    return rows.filter(pk=int(pk[:18])).first() if pk.isdecimal() else None


def _page(request: HttpRequest, of: OfficeAdmin, form: PhoneBookingForm, *, asked: bool = False) -> HttpResponse:
    """`asked`: say why the form's time can be had or not, where it has one."""
    given: Mapping[str, Any] = form.data if form.is_bound else form.initial
    basket = form.basket
    handyman = _chosen(Handyman.objects.active(), given.get("who"))
    starts_at, postcode = form.time_of(given), country.read_postcode(given.get("postcode"))
    findings, first = None, asked_day(given, "first")
    if asked and basket and starts_at:
        findings = why_not.findings(
            service=basket, starts_at=starts_at, handyman=handyman, postcode=postcode, user=request.user
        )
    like = _like(request)
    context = of.admin_site.each_context(request) | {
        "title": "Book by phone",
        "opts": of.opts,
        "form": form,
        "find": find.FindForm(),
        "like": like,
        "visits": find.visits_of(like, request) if like else [],
        "services": list(Service.objects.active()),
        "basket": basket,
        "incomplete": INCOMPLETE if basket and basket.incomplete and not form.is_bound else "",
        "chosen": {service.slug for service in basket.services} if basket else (),
        "handyman": handyman,
        "given": given,
        "windows": windows(basket, handyman=handyman, first=first, postcode=postcode) if basket else None,
        "findings": findings,
        "nobody": why_not.nobody(basket, handyman) if basket else "",
        "starts_at": starts_at,
    }
    return TemplateResponse(request, "admin/bookings/booking/book.html", context)


def _chosen(rows: Any, pk: object) -> Any:
    """The row of this key; None where there is no such row, or no key."""
    text = str(pk or "")
    return rows.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None


def _booked(visit: Booking) -> str:
    start, until = timezone.localtime(visit.starts_at), timezone.localtime(visit.arrival_until)
    return format_html(
        '{} was added: {} to {}, {} with {}. <a href="{}">Book another</a>',
        visit.customer_name,
        date_format(start, "D j M, H:i"),
        f"{until:%H:%M}",
        visit.title,
        visit.handyman,
        f"{reverse('admin:bookings_booking_add')}?like={visit.pk}",
    )
