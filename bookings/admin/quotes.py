"""Quoting a price on a message's page: the form's part, and what was quoted before."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.widgets import AdminTextareaWidget
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bookings import money
from bookings.admin.answers import AnswerForm
from bookings.admin.compared import SHOWN
from bookings.admin.fields import MoneyField, picker
from bookings.basket import Basket
from bookings.fields import ProseField
from bookings.models import MOST_OF_ONE, Booking, ContactMessage, Quote, QuoteLine, Service
from bookings.scheduling import quotes
from bookings.slots import calendars

SEND = "send_quote"
WITHDRAW = "withdraw_quote"
"""The buttons' names."""
_ROWS = range(1, 7)
_OF_A_ROW = ("quote_job", "quote_quantity", "quote_minutes", "quote_price")
_USUALLY = timedelta(days=30)
_LONGEST = timedelta(days=180)

_FIRST_ROWS = 2
_FIELDS = [tuple(f"{name}_{row}" for name in _OF_A_ROW) for row in _ROWS]
FIELDSETS = (
    (
        "Quote a price",
        {
            "fields": [*_FIELDS[:_FIRST_ROWS], "quote_note", "quote_until"],
            "classes": ["collapse"],
            "description": "Sent by e-mail with a link, by which the customer accepts it and chooses a time.",
        },
    ),
    ("More jobs in this quote", {"fields": _FIELDS[_FIRST_ROWS:], "classes": ["collapse"]}),
)


def _fields_of_rows() -> dict[str, forms.Field]:
    """The fields of each row: the job, how often, how long all of it takes, and what all of it costs."""
    found: dict[str, forms.Field] = {}
    for row in _ROWS:
        fields: tuple[forms.Field, ...] = (
            forms.ModelChoiceField(Service.objects.all(), required=False, label=f"Job {row}", empty_label="None"),
            forms.IntegerField(required=False, min_value=1, max_value=MOST_OF_ONE, label="Times"),
            forms.IntegerField(required=False, min_value=15, max_value=1440, label="Minutes in all"),
            MoneyField(required=False, label=f"Price in all ({money.symbol()})"),
        )
        found |= {f"{name}_{row}": field for name, field in zip(_OF_A_ROW, fields, strict=True)}
    return found


_Rows = type("_Rows", (forms.Form,), _fields_of_rows())


class MessageForm(AnswerForm, _Rows):  # type: ignore[misc, valid-type]  # made of a loop
    """An answer, or a quote. It is refused where the customer or a colleague did something to the quote meanwhile."""

    quote_note = ProseField(
        label="Words to the customer", max_length=2000, required=False, widget=AdminTextareaWidget(attrs={"rows": 4})
    )
    quote_until = forms.DateField(
        label="Holds until",
        required=False,
        initial=lambda: timezone.localdate() + _USUALLY,
        widget=forms.DateInput(attrs=picker("date"), format="%Y-%m-%d"),
    )
    lines: list[QuoteLine]

    @property
    def sends_quote(self) -> bool:
        """Whether the button that sends a quote was pressed."""
        return SEND in self.data and bool(self.fields)

    @property
    def withdraws(self) -> bool:
        return WITHDRAW in self.data and bool(self.fields)

    def quote(self, user: User) -> Quote:
        """Send the valid form's quote."""
        typed = self.cleaned_data
        return quotes.send(
            message=self.instance,
            lines=self.lines,
            valid_until=typed["quote_until"],
            note=typed["quote_note"],
            user=user,
            key=typed["key"],
        )

    def carried(self) -> str:
        return f"{super().carried()} quote:{_stand(self.instance)}"

    def conflicts(self) -> Iterator[tuple[str | None, str]]:
        if Quote.objects.filter(message=self.instance, key=self.data.get("key", "")).exists():
            return
        yield from super().conflicts()
        shown = dict(each.partition(":")[::2] for each in self.data.get(SHOWN, "").split())
        if (self.sends_quote or self.withdraws) and shown.get("quote") != _stand(self.instance):
            yield None, "The quote below has changed meanwhile. Look at it, then press again what you still want."

    def clean(self) -> Any:
        cleaned = super().clean()
        if not self.fields:  # suspected spam
            return cleaned
        rows = [row for row in _ROWS if any(self.data.get(f"{name}_{row}") for name in _OF_A_ROW)]
        if self.sends_quote:
            self.lines = [line for row in rows if (line := self._line(row)) is not None]
            self._judge(rows)
        elif rows or cleaned.get("quote_note"):
            self.add_error("quote_note", "This quote is not sent yet: press “Send the quote”, or empty it first.")
        return cleaned

    def _line(self, row: int) -> QuoteLine | None:
        """A row as it was typed; None where something is missing."""
        service, quantity, minutes, price = (self.cleaned_data.get(f"{name}_{row}") for name in _OF_A_ROW)
        if service is None and not self.has_error(f"quote_job_{row}"):
            self.add_error(f"quote_job_{row}", "Choose the job.")
        if not price and not self.has_error(f"quote_price_{row}"):
            self.add_error(f"quote_price_{row}", "Enter what it costs.")
        if service is None or not price:
            return None
        times = quantity or 1
        planned = minutes or service.duration_minutes * times
        return QuoteLine(service=service, quantity=times, minutes=planned, price_pence=price)

    def _judge(self, rows: list[int]) -> None:
        """Say what keeps the whole from being a quote that can be accepted and booked."""
        until, today = self.cleaned_data.get("quote_until"), timezone.localdate()
        if not self.has_error("quote_until") and not (until and today <= until <= today + _LONGEST):
            self.add_error("quote_until", f"Choose a day from today to {today + _LONGEST:%d %b %Y}.")
        if not rows:
            self.add_error("quote_job_1", "Choose at least one job.")
        elif len(rows) > settings.BOOKING_JOBS_PER_VISIT:
            self.add_error(None, f"One visit takes {settings.BOOKING_JOBS_PER_VISIT} jobs at most.")
        elif self.lines and not self.errors and not _can_be_booked(self.lines):
            self.add_error(None, "No handyman does all of this, or has the hours for it in one day: quote for less.")


def _can_be_booked(lines: list[QuoteLine]) -> bool:
    basket = Basket(tuple(line.as_job() for line in lines))
    return calendars.Reader(now=timezone.now(), service=basket).is_possible()


def _stand(message: ContactMessage) -> str:
    """Which quote is open and how far it is, in a word that the page carries."""
    quote = quotes.current(message) if message.pk else None
    return f"{quote.pk}-{quote.state}" if quote else "none"


def field_of(request: HttpRequest, booking: Booking | None) -> tuple[str, ...]:
    """The field of a visit's page that leads to its quote: for a visit that has one, and who may read messages."""
    reads = any(request.user.has_perm(f"bookings.{each}_contactmessage") for each in ("view", "change"))
    return ("quoted",) if reads and getattr(booking, "quote", None) else ()


def link(booking: Booking) -> SafeString:
    """To the quote that became this visit, on the page of its message."""
    page = reverse("admin:bookings_contactmessage_change", args=[booking.quote.message_id])
    return format_html('<a href="{}#quote-{}">{}</a>', page, booking.quote.pk, booking.quote)


def thread(message: ContactMessage) -> SafeString:
    """What was quoted so far, the oldest first; empty without any."""
    found = message.quotes.with_lines().select_related("written_by")
    shown = render_to_string("admin/bookings/contactmessage/_quotes.html", {"quotes": found})
    return shown if found else SafeString()
