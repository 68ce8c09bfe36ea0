"""Finding a customer who rings, by phone, name, reference, postcode or e-mail, in any spelling."""

from collections.abc import Iterator
from dataclasses import dataclass

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from bookings import country, crew, phone, search
from bookings.admin.office import OfficeAdmin
from bookings.fields import LineField
from bookings.models import WORDS_OF_A_BOOKING, WORDS_OF_A_MESSAGE, Booking, ContactMessage

MOST_ROWS = 60
MOST_CUSTOMERS = 12


class FindForm(forms.Form):
    q = LineField(max_length=100, label="Phone, name, reference or postcode")


@dataclass(frozen=True)
class Caller:
    """A customer as one of their rows has them; `booking` or `message` is the newest of those."""

    name: str
    phone: str
    email: str
    postcode: str
    booking: Booking | None = None
    message: ContactMessage | None = None

    @property
    def link(self) -> str:
        """The page to book on, which this row fills in: no address stands in a URL."""
        kind, row = ("like", self.booking) if self.booking else ("message", self.message)
        return f"{reverse('admin:bookings_booking_add')}?{urlencode({kind: row.pk if row else ''})}"


def find(request: HttpRequest, of: OfficeAdmin) -> HttpResponse:
    """Who it could be. A single customer is filled in at once, one who is not known yet begins an empty form."""
    form = FindForm(request.GET)
    if not form.is_valid():
        return _page(request, of, form, [], 400 if "q" in request.GET else 200)
    typed = form.cleaned_data["q"]
    found = callers(typed, request)
    if len(found) == 1:
        return redirect(found[0].link)
    if not found:
        return redirect(f"{reverse('admin:bookings_booking_add')}?{urlencode({'new': typed})}")
    return _page(request, of, form, found, 200)


def callers(typed: str, request: HttpRequest) -> list[Caller]:
    """Customers whom this could mean, each once; those with the newest bookings first. Two queries."""
    wanted = search.asked(typed)
    if not wanted:
        return []
    found: dict[str, Caller] = {}
    for caller in (*_of_bookings(wanted, request), *_of_messages(wanted, request)):
        found.setdefault(_key(caller), caller)
    return list(found.values())[:MOST_CUSTOMERS]


def guessed(typed: str) -> dict[str, str]:
    """The field that a search for an unknown customer must have meant: phone, postcode, e-mail or name."""
    if sum(map(str.isdecimal, typed)) >= 7:
        return {"customer_phone": typed}
    if "@" in typed:
        return {"customer_email": typed}
    try:
        return {"postcode": country.current().postcode(typed)}
    except ValueError:
        return {"customer_name": typed}


def visits_of(booking: Booking, request: HttpRequest) -> list[Booking]:
    """The last visits of the same phone number, the newest first. Two queries."""
    wanted = search.asked(booking.customer_phone)
    same = Booking.objects.filter(search.matches(WORDS_OF_A_BOOKING, wanted)) if wanted else Booking.objects.none()
    return list(crew.visible(same.with_jobs(), request.user).order_by("-starts_at")[:4])


def _of_bookings(wanted: str, request: HttpRequest) -> Iterator[Caller]:
    rows = crew.visible(Booking.objects.filter(erased_at=None), request.user)
    for row in rows.filter(search.matches(WORDS_OF_A_BOOKING, wanted)).order_by("-starts_at")[:MOST_ROWS]:
        yield Caller(row.customer_name, row.customer_phone, row.customer_email, row.postcode, booking=row)


def _of_messages(wanted: str, request: HttpRequest) -> Iterator[Caller]:
    if not request.user.has_perm("bookings.view_contactmessage"):
        return
    rows = ContactMessage.objects.filter(suspected_spam=False)
    for row in rows.filter(search.matches(WORDS_OF_A_MESSAGE, wanted)).order_by("-created_at")[:MOST_ROWS]:
        yield Caller(row.name, row.phone, row.email, "", message=row)


def _key(caller: Caller) -> str:
    """What tells one customer from another."""
    return phone.searched(caller.phone) or caller.email.lower() or caller.name


def _page(request: HttpRequest, of: OfficeAdmin, form: FindForm, found: list[Caller], status: int) -> HttpResponse:
    context = of.admin_site.each_context(request) | {
        "title": "Book: who is it?",
        "opts": of.opts,
        "form": form,
        "found": found,
        "most": MOST_CUSTOMERS,
    }
    return TemplateResponse(request, "admin/bookings/booking/find.html", context, status=status)
