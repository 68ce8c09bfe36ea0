"""What can be booked, what it costs, and where the business comes to."""

import hashlib
import re
from datetime import timedelta
from functools import cache
from typing import Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.urls import reverse

from bookings import country
from bookings.kept_query import KeptQuery
from bookings.models.fields import LineField, ProseField

LEAST_DEPOSIT = 100
"""In minor units: what it costs to take less is more than it is worth."""


_OFFER = r"(fixed|hourly|quote)\.(\d{1,9})\.(\d{1,5})\.(\d{1,9})\.(\d{1,5})\.\w{8}"


class Pricing(models.TextChoices):
    FIXED = "fixed", "Fixed price"
    HOURLY = "hourly", "Hourly, with a minimum"
    QUOTE = "quote", "Quote"


class Priced(models.Model):
    """A price shape. Amounts are integers in the minor unit of BUSINESS_CURRENCY: pence, cents, yen (money.py)."""

    pricing = models.CharField(max_length=10, choices=Pricing, default=Pricing.FIXED)
    price_pence = models.PositiveIntegerField(
        default=0, help_text="The fixed price, or the price of one hour, in pence. 0 for a quote."
    )
    minimum_minutes = models.PositiveSmallIntegerField(
        default=0, help_text="Hourly work only: the least time charged, in minutes."
    )

    class Meta:
        abstract = True

    @property
    def from_pence(self) -> int | None:
        """The least a customer pays, in pence; None when the price is a quote."""
        if self.pricing == Pricing.QUOTE:
            return None
        if self.pricing == Pricing.HOURLY:
            return -(-self.price_pence * self.minimum_minutes // 60)
        return self.price_pence


class ServiceQuerySet(models.QuerySet["Service"]):
    def active(self) -> Self:
        """Services that customers can book: active, in the catalogue's order."""
        return self.filter(active=True).order_by("position", "name")


class Service(Priced):
    slug = models.SlugField(unique=True)
    name = LineField(max_length=80)
    group = LineField(max_length=40, blank=True, help_text="The heading it stands under, such as Plumbing.")
    summary = LineField(max_length=160)
    description = ProseField(blank=True)
    duration_minutes = models.PositiveSmallIntegerField(
        default=60, validators=[MinValueValidator(15)], help_text="Time on the job, in minutes."
    )
    buffer_minutes = models.PositiveSmallIntegerField(
        default=30, help_text="Kept free after the job for tidying up and the way to the next one, in minutes."
    )
    deposit_pence = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Paid online to book it, and taken off the price, in pence. 0 for none."
    )
    active = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0)

    objects = ServiceQuerySet.as_manager()

    class Meta:
        ordering = ("position", "name")
        constraints = (
            models.CheckConstraint(name="service_lasts", condition=models.Q(duration_minutes__gte=15)),
            models.CheckConstraint(
                name="service_price_has_an_amount",
                condition=models.Q(pricing=Pricing.QUOTE) | models.Q(price_pence__gt=0),
                violation_error_message="A fixed or hourly price needs an amount.",
            ),
            models.CheckConstraint(
                name="service_deposit_within_price",
                condition=models.Q(deposit_pence=0)
                | models.Q(deposit_pence__gte=LEAST_DEPOSIT, deposit_pence__lte=models.F("price_pence"))
                & ~models.Q(pricing=Pricing.QUOTE),
                violation_error_message="The deposit does not fit the price.",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("service", args=[self.slug])

    @property
    def deposit(self) -> int:
        """What is to be paid to book it, in pence; 0 when it asks for none or payments are off."""
        return self.deposit_pence if settings.STRIPE_SECRET_KEY else 0

    @property
    def offer(self) -> str:
        """What a page shows of it, for a form to carry: price, deposit, duration and, shortened, the name."""
        name = hashlib.sha256(self.name.encode()).hexdigest()[:8]
        return f"{self.pricing}.{self.price_pence}.{self.minimum_minutes}.{self.deposit}.{self.duration_minutes}.{name}"

    @classmethod
    def as_offered(cls, offer: str) -> "Service | None":
        """A service, unsaved and without its name, as an offer showed it; None when that cannot be read."""
        match = re.fullmatch(_OFFER, offer, re.ASCII)
        if match is None:
            return None
        price, least, deposit, minutes = map(int, match.groups()[1:])
        shown = {"price_pence": price, "minimum_minutes": least, "deposit_pence": deposit, "duration_minutes": minutes}
        return cls(pricing=match[1], **shown)

    @property
    def services(self) -> tuple["Service", ...]:
        """What a visit for it alone needs."""
        return (self,)

    @property
    def duration(self) -> timedelta:
        return timedelta(minutes=self.duration_minutes)

    @property
    def buffer(self) -> timedelta:
        return timedelta(minutes=self.buffer_minutes)


class ServiceAreaQuerySet(models.QuerySet["ServiceArea"]):
    def covers(self, postcode: str) -> bool:
        """Whether the business comes to this postcode. With no area on record, or no postcodes, it goes everywhere."""
        here = country.current()
        prefixes = [prefix for (prefix,) in _prefixes().rows()] if here.pattern else []
        return not prefixes or any(here.covers(prefix, postcode) for prefix in prefixes)


@cache
def _prefixes() -> KeptQuery:
    return KeptQuery(lambda: ServiceArea.objects.order_by().values_list("prefix"))


class ServiceArea(models.Model):
    prefix = models.CharField(
        max_length=10,
        unique=True,
        help_text="The start of a postcode: SE covers all of SE, SE1 only SE1; 100 covers 10001.",
    )
    name = LineField(max_length=60, blank=True)

    objects = ServiceAreaQuerySet.as_manager()

    class Meta:
        ordering = ("prefix",)

    def __str__(self) -> str:
        return f"{self.prefix} {self.name}".strip()

    def clean(self) -> None:
        self.prefix = re.sub(r"[\W_]", "", self.prefix).upper()
