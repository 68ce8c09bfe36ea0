"""The jobs of a visit: several services, each so many times, in one visit of one handyman."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import models

from bookings.models.catalogue import Priced, Pricing, Service

MOST_OF_ONE = 9
"""Times that one service can be booked in one visit."""


class BookingLineManager(models.Manager["BookingLine"]):
    def get_queryset(self) -> models.QuerySet["BookingLine"]:
        """With the service of each, which every reader wants."""
        return super().get_queryset().select_related("service")


class BookingLine(Priced):
    """A further job of a visit. The booking itself is its first job, so a visit of one job has no row here.

    The price is that of the whole line, as it was shown when it was booked: `quantity` times a fixed price, or an
    hourly rate with `quantity` times its minimum.
    """

    booking = models.ForeignKey("bookings.Booking", models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField(help_text="From 1, in the order in which they were chosen.")
    service = models.ForeignKey(Service, models.PROTECT, related_name="booking_lines")
    quantity = models.PositiveSmallIntegerField(default=1)
    minutes = models.PositiveSmallIntegerField(help_text="Time on the job, for all of the quantity.")

    objects = BookingLineManager()

    class Meta:
        ordering = ("position",)
        constraints = (
            # The same form that adds a job, posted twice at once.
            models.UniqueConstraint(name="booking_line_position", fields=["booking", "position"]),
            models.CheckConstraint(
                name="booking_line_is_some_work", condition=models.Q(position__gte=1, quantity__gte=1, minutes__gte=1)
            ),
        )

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, service: Service, quantity: int = 1) -> "BookingLine":
        """An unsaved line: a service this many times, at today's price."""
        by_hour = service.pricing == Pricing.HOURLY
        return cls(
            service=service,
            quantity=quantity,
            minutes=service.duration_minutes * quantity,
            pricing=service.pricing,
            price_pence=service.price_pence * (1 if by_hour else quantity),
            minimum_minutes=service.minimum_minutes * quantity,
        )

    @property
    def name(self) -> str:
        """As it reads in a list: "Tap repair", "3 × Door repair"."""
        return self.service.name if self.quantity == 1 else f"{self.quantity} × {self.service.name}"

    @property
    def deposit(self) -> int:
        """What is to be paid today to book it, in pence."""
        return self.service.deposit * self.quantity


@dataclass(frozen=True, slots=True)
class Total:
    """What some jobs cost together. `least` is the least a customer pays, in pence, for those that have a price."""

    least: int
    is_fixed: bool
    has_quote: bool
    has_price: bool

    @classmethod
    def of(cls, jobs: Sequence[Priced]) -> "Total":
        priced = [job for job in jobs if job.pricing != Pricing.QUOTE]
        return cls(
            least=sum(job.from_pence or 0 for job in priced),
            is_fixed=all(job.pricing == Pricing.FIXED for job in priced),
            has_quote=len(priced) < len(jobs),
            has_price=bool(priced),
        )


class Visit:
    """What a basket and a booked visit have in common: their jobs, of which there is always one."""

    jobs: Sequence[BookingLine]

    @property
    def services(self) -> list[Service]:
        """What its handyman must be able to do."""
        return [job.service for job in self.jobs]

    @property
    def title(self) -> str:
        """The jobs in a few words: "Tap repair", "3 × Door repair and 2 more jobs"."""
        first, more = self.jobs[0], len(self.jobs) - 1
        return f"{first.name} and {more} more job{'s' if more > 1 else ''}" if more else first.name

    @property
    def what(self) -> str:
        """Every job: "3 × Door repair, Tap repair"."""
        return ", ".join(job.name for job in self.jobs)

    @property
    def has_several_jobs(self) -> bool:
        """Whether it is more than one service once."""
        return len(self.jobs) > 1 or self.jobs[0].quantity > 1

    @property
    def total(self) -> Total:
        return Total.of(self.jobs)

    @property
    def chosen(self) -> list[str]:
        """The jobs as addresses and forms carry them: "door-repair:3" for each; none for one service once."""
        wanted: dict[str, int] = {}
        for job in self.jobs if self.has_several_jobs else ():
            wanted[job.service.slug] = wanted.get(job.service.slug, 0) + job.quantity
        return [f"{slug}:{min(quantity, MOST_OF_ONE)}" for slug, quantity in wanted.items()]

    @property
    def query(self) -> str:
        """The same to go on with a query string: "&job=door-repair:3&job=tap-repair:1", or nothing."""
        return "".join(f"&job={each}" for each in self.chosen)

    @property
    def content(self) -> list[tuple[int, int]]:
        """Service and quantity of each job: what makes two of them the same."""
        return [(job.service.pk, job.quantity) for job in self.jobs]


def lasting(jobs: Sequence[BookingLine]) -> timedelta:
    """How long these jobs take, one after the other."""
    return timedelta(minutes=sum(job.minutes for job in jobs))
