"""How prices, durations and times read on a page, and how its links keep what was chosen."""

from datetime import UTC, date, datetime
from functools import lru_cache

from django import template
from django.utils import timezone
from django.utils.formats import date_format

from bookings import country, money, phrases
from bookings.models import Handyman, Service, usual_deadline

register = template.Library()
for _phrase in (phrases.price, phrases.figure, phrases.shape, phrases.duration, phrases.lasts, phrases.clock):
    register.filter(_phrase)
register.filter("money", money.text)

_ICONS = ("plumbing", "electrical", "carpentry", "mounting", "assembly", "painting", "outdoors")


@register.filter
def icon(service: Service) -> str:
    """The symbol in img/icons.svg that stands for the service's group."""
    group = service.group.lower()
    return next((name for name in _ICONS if name[:5] in group), "tools")


@register.filter
def day(moment: date | datetime) -> str:
    """Thursday 26 November, in the business's zone."""
    local = timezone.localtime(moment) if isinstance(moment, datetime) else moment
    return _written(local.date() if isinstance(local, datetime) else local, "l, F j" if _month_first() else "l j F")


@register.filter
def short_day(moment: date) -> str:
    """26 Nov, or Nov 26 where one writes it so."""
    return _written(moment, "M j" if _month_first() else "j M")


@lru_cache(maxsize=1024)
def _written(day: date, how: str) -> str:
    return date_format(day, how)


@register.filter
def iso(day: date) -> str:
    """2026-11-26, for addresses."""
    return day.isoformat()


@register.filter
def part(day: date, how: str) -> str:
    """A part of a date: "D" is Thu, "j" 26."""
    return _written(day, how)


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
