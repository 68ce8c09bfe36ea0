"""What a customer wants done in one visit, before it is booked. It has no row: it travels in addresses and forms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from django.conf import settings

from bookings import money
from bookings.models import BookingLine, Quote, Service, Visit, lasting

_CHOSEN = re.compile(r"([-\w]{1,50}):(\d)", re.ASCII)
QUOTE = "quote:"
"""What the token of a quote follows where jobs are carried."""
_MOST_MINUTES = 2**15 - 1
_SHOWN = re.compile(r"(?:([1-9])\*)?(.+)", re.ASCII | re.DOTALL)


class Work(Protocol):
    """What a visit needs: a service alone, a basket, a booking."""

    @property
    def duration(self) -> timedelta: ...
    @property
    def buffer(self) -> timedelta: ...
    @property
    def services(self) -> Sequence[Service]: ...


@dataclass(frozen=True)
class Basket(Visit):
    """Jobs for one visit, at today's prices. Times and prices of its lines add up; there is one buffer, the longest.

    `incomplete` says that not all could be taken in that was asked for: a job that is gone, or too many. Those of a
    `quote` have its times and prices, whatever the catalogue says now, and ask for no deposit.
    """

    jobs: tuple[BookingLine, ...]
    incomplete: bool = False
    quote: Quote | None = None

    @classmethod
    def of(cls, wanted: "Service | Basket") -> "Basket":
        """The basket of a service alone, once; a basket as it is."""
        return wanted if isinstance(wanted, Basket) else cls((BookingLine.of(wanted),))

    @classmethod
    def quoted(cls, quote: Quote) -> "Basket":
        """The basket of a quote with its lines."""
        return cls(tuple(quote.jobs), quote=quote)

    @classmethod
    def read(cls, service: Service, chosen: Sequence[str]) -> "Basket":
        """A basket from what an address or a form says: `slug:quantity` for each job, `service` being its first.

        A quantity of 0 leaves a further job out. One query, where there are further jobs.
        """
        quantities, readable, most = {service.slug: 1}, True, 2 * settings.BOOKING_JOBS_PER_VISIT
        for text in chosen[:most]:
            if match := _CHOSEN.fullmatch(text):
                quantities[match[1]] = int(match[2])
            else:
                readable = readable and not text
        wanted = [slug for slug, quantity in quantities.items() if quantity or slug == service.slug]
        others = wanted[1:] if len(wanted) > 1 else []
        known = {each.slug: each for each in Service.objects.active().filter(slug__in=others)} if others else {}
        known[service.slug] = service
        lines: list[BookingLine] = []
        for each in (known[slug] for slug in wanted if slug in known):
            line = BookingLine.of(each, max(quantities[each.slug], 1))
            if not lines or _can_be_kept([*lines, line]):
                lines.append(line)
        if not _can_be_kept(lines):
            lines, readable = [BookingLine.of(service)], False
        complete = readable and len(lines) == len(wanted) and len(chosen) <= most
        return cls(tuple(lines), incomplete=not complete)

    @classmethod
    def as_offered(cls, offer: str) -> "Basket | None":
        """A basket, unsaved and without names, as an `offer` showed it; None when that cannot be read."""
        shown = offer.split("~", settings.BOOKING_JOBS_PER_VISIT)
        lines = [line for line in map(_as_offered, shown) if line is not None]
        return cls(tuple(lines)) if len(lines) == len(shown) else None

    @property
    def service(self) -> Service:
        """The first job's."""
        return self.jobs[0].service

    @property
    def duration(self) -> timedelta:
        return lasting(self.jobs)

    @property
    def duration_minutes(self) -> int:
        return sum(job.minutes for job in self.jobs)

    @property
    def buffer(self) -> timedelta:
        return max(job.service.buffer for job in self.jobs)

    @property
    def deposit(self) -> int:
        """What is to be paid to book it, in pence."""
        return 0 if self.quote else sum(job.deposit for job in self.jobs)

    @property
    def offer(self) -> str:
        """What a page shows, for a form to carry: `Service.offer` of each job, with its quantity; or the quote."""
        if self.quote:
            return f"quote-{self.quote.pk}"
        return "~".join(f"{job.quantity}*{job.service.offer}"[2 if job.quantity == 1 else 0 :] for job in self.jobs)

    @property
    def chosen(self) -> list[str]:
        """The jobs as addresses and forms carry them; a quote's as the token of its link."""
        return [f"{QUOTE}{self.quote.link_token}"] if self.quote else super().chosen

    @property
    def is_full(self) -> bool:
        return len(self.jobs) >= settings.BOOKING_JOBS_PER_VISIT


def _can_be_kept(lines: Sequence[BookingLine]) -> bool:
    """Whether the columns hold so much, and the site takes so many."""
    most = settings.BOOKING_JOBS_PER_VISIT
    if most == 1 and any(line.quantity > 1 for line in lines):
        return False
    sums = (sum(line.price_pence for line in lines), sum(line.minutes + line.minimum_minutes for line in lines))
    return len(lines) <= most and sums[0] <= money.MOST and sums[1] <= _MOST_MINUTES


def _as_offered(shown: str) -> BookingLine | None:
    match = _SHOWN.fullmatch(shown)
    service = Service.as_offered(match[2]) if match else None
    return BookingLine.of(service, int(match[1] or 1)) if match and service else None
