"""How prices, durations and times read: on pages, in e-mails and in calendars."""

from datetime import datetime, timedelta
from functools import lru_cache

from django.utils import timezone
from django.utils.formats import date_format

from bookings import money
from bookings.basket import Work
from bookings.models import Priced, Pricing, Total, Visit


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
        return f"{money.text(total.least)} fixed price{quote}"
    return f"{f'from {money.text(total.least)}' if total.least else 'by the hour'}{quote}"


def figure(priced: Priced) -> str:
    """The amount that stands for the price: £85, or "Free quote"."""
    if priced.pricing == Pricing.QUOTE:
        return "Free quote"
    least = priced.from_pence if priced.minimum_minutes else None
    return money.text(least or priced.price_pence)


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
    return money.text(-(-priced.price_pence // 2))


def duration(minutes: int) -> str:
    """60 → hour, 90 → 1½ hours, 45 → 45 minutes."""
    hours, rest = divmod(minutes, 60)
    if not hours or rest not in (0, 30):
        return f"{minutes} minutes"
    if minutes == 60:
        return "hour"
    return f"{hours}{'½' if rest else ''} hours"


def lasts(work: Work) -> str:
    """About how long a service, a basket or a booking takes: 1 hour, 2½ hours, 45 minutes."""
    text = duration(work.duration // timedelta(minutes=1))
    return "1 hour" if text == "hour" else text


def clock(moment: datetime) -> str:
    """A local wall-clock time: 9am, 1:30pm, noon."""
    local = timezone.localtime(moment)
    return _clock(local.hour, local.minute)


@lru_cache(maxsize=1440)
def _clock(hour: int, minute: int) -> str:
    if (hour, minute) == (12, 0):
        return "noon"
    return date_format(datetime(2000, 1, 1, hour, minute), "gA" if not minute else "g:iA").lower()
