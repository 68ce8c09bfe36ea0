"""How prices, durations and times read on a page, and how its links keep what was chosen."""

from datetime import UTC, date, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format

from bookings import country
from bookings import money as amounts
from bookings.basket import Work
from bookings.models import Handyman, Priced, Pricing, Service, Total, Visit, usual_deadline

register = template.Library()

_ICONS = ("plumbing", "electrical", "carpentry", "mounting", "assembly", "painting", "outdoors")


@register.filter
def money(pence: int) -> str:
    """6500 → £65, 6550 → £65.50, in BUSINESS_CURRENCY."""
    return amounts.text(pence)


@register.filter
def price(priced: Priced | Visit) -> str:
    """One line that says the price and its shape: what a customer can be charged, before materials.

    Of several jobs, what is certain of their sum.
    """
    if isinstance(priced, Visit):
        jobs = priced.jobs
        return _sum(priced.total) if len(jobs) > 1 else price(jobs[0])
    return f"{figure(priced)} {shape(priced)}"


def _sum(total: Total) -> str:
    """£255 fixed price; from £205, the rest by the hour; with a free quote for what has no price."""
    quote = " and a free quote" if total.has_quote else ""
    if not total.has_price:
        return "Free quote first"
    if total.is_fixed:
        return f"{money(total.least)} fixed price{quote}"
    return f"{f'from {money(total.least)}' if total.least else 'by the hour'}{quote}"


@register.filter
def figure(priced: Priced) -> str:
    """The amount that stands for the price: £85, or "Free quote"."""
    if priced.pricing == Pricing.QUOTE:
        return "Free quote"
    least = priced.from_pence if priced.minimum_minutes else None
    return money(least or priced.price_pence)


@register.filter
def shape(priced: Priced) -> str:
    """What the figure buys, to be read after it: "fixed price", "for the first hour, then £36 per half hour"."""
    if priced.pricing == Pricing.QUOTE:
        return "first"
    if priced.pricing == Pricing.FIXED:
        return "fixed price"
    if not priced.minimum_minutes:
        return "an hour"
    return f"for the first {duration(priced.minimum_minutes)}, then {_half_hour(priced)} per half hour"


def _half_hour(priced: Priced) -> str:
    return money(-(-priced.price_pence // 2))


@register.filter
def duration(minutes: int) -> str:
    """60 → hour, 90 → 1½ hours, 45 → 45 minutes."""
    hours, rest = divmod(minutes, 60)
    if not hours or rest not in (0, 30):
        return f"{minutes} minutes"
    if minutes == 60:
        return "hour"
    return f"{hours}{'½' if rest else ''} hours"


@register.filter
def lasts(work: Work) -> str:
    """About how long a service, a basket or a booking takes: 1 hour, 2½ hours, 45 minutes."""
    text = duration(work.duration // timedelta(minutes=1))
    return "1 hour" if text == "hour" else text


@register.filter
def icon(service: Service) -> str:
    """The symbol in img/icons.svg that stands for the service's group."""
    group = service.group.lower()
    return next((name for name in _ICONS if name[:5] in group), "tools")


@register.filter
def clock(moment: datetime) -> str:
    """A local wall-clock time: 9am, 1:30pm, noon."""
    local = timezone.localtime(moment)
    if (local.hour, local.minute) == (12, 0):
        return "noon"
    return date_format(local, "gA" if not local.minute else "g:iA").lower()


@register.filter
def day(moment: date | datetime) -> str:
    """Thursday 26 November, in the business's zone."""
    local = timezone.localtime(moment) if isinstance(moment, datetime) else moment
    return date_format(local, "l, F j" if _month_first() else "l j F")


@register.filter
def short_day(moment: date) -> str:
    """26 Nov, or Nov 26 where one writes it so."""
    return date_format(moment, "M j" if _month_first() else "j M")


def _month_first() -> bool:
    return country.current().month_first


@register.filter
def is_soon(starts_at: datetime) -> bool:
    """Whether a visit booked now could be changed online only in the first minutes."""
    return usual_deadline(starts_at) <= timezone.now()


@register.filter
def instant(moment: datetime) -> str:
    """2026-11-26T09:00:00Z: an instant that survives a query string."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@register.filter
def as_query(handyman: Handyman | None) -> str:
    """&handyman=grace, to go on with a query string; nothing when nobody was asked for."""
    return f"&handyman={handyman.slug}" if handyman else ""
