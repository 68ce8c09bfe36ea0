"""What the business offers to do for a price, in answer to a message."""

from datetime import date, datetime, timedelta
from typing import Self

from django.conf import settings
from django.core import signing
from django.db import models
from django.db.models import Case, F, OuterRef, Q, Subquery, Sum, Value, When
from django.urls import reverse
from django.utils import timezone

from bookings.models.booking import Booking, Status, new_link_key
from bookings.models.catalogue import Pricing, Service
from bookings.models.fields import ProseField
from bookings.models.lines import BookingLine, Visit
from bookings.models.messages import ContactMessage

_LINK_SALT = "bookings.quote"
_SOON = timedelta(days=3)
"""A quote that holds no longer than this is running out."""


class Step(models.IntegerChoices):
    """What comes next of a quote that is under way, the most urgent first."""

    TIME = 0, "Its customer has accepted it, and has no time"
    REMINDER = 1, "It runs out soon"
    ANSWER = 2, "It waits for its customer"
    VISIT = 3, "Its visit is ahead"


class QuoteQuerySet(models.QuerySet["Quote"]):
    def for_link(self, token: str) -> "Quote":
        """The quote that a mailed link shows. Raises Quote.DoesNotExist for a forged one."""
        try:
            pk, key = signing.Signer(salt=_LINK_SALT).unsign_object(token)
        except (signing.BadSignature, ValueError, TypeError) as error:
            raise self.model.DoesNotExist from error
        return self.with_lines().get(pk=pk, link_key=key)

    def without_a_time(self) -> Self:
        """Those that customers have accepted, and have no time for: none was chosen, or that visit is off."""
        return self.filter(accepted_at__isnull=False, withdrawn_at=None).exclude(_has_visit(timezone.now()))

    def under_way(self, now: datetime) -> Self:
        """Those that something is still to come of, with it as `step` (a Step), in that order; `pence` is the price."""
        today, visit = timezone.localdate(now), _has_visit(now)
        ahead = visit & Q(booking__status__in=(Status.HELD, Status.CONFIRMED), booking__ends_at__gt=now)
        accepted = ~visit & Q(accepted_at__isnull=False, withdrawn_at=None)
        open_ = Q(accepted_at=None, withdrawn_at=None, valid_until__gte=today)
        step = Case(
            When(accepted, then=Step.TIME),
            When(ahead, then=Step.VISIT),
            When(valid_until__lte=today + _SOON, then=Step.REMINDER),
            default=Value(Step.ANSWER),
        )
        lines = QuoteLine.objects.filter(quote=OuterRef("pk")).order_by().values("quote")
        found = self.filter(ahead | accepted | open_).select_related("message", "booking")
        found = found.annotate(step=step, pence=Subquery(lines.annotate(sum=Sum("price_pence")).values("sum")))
        begins = Case(When(ahead, then=F("booking__starts_at")))
        return found.order_by("step", begins, "valid_until", "pk")

    def with_lines(self) -> Self:
        """With all that a page says of it. One query more."""
        return self.select_related("message", "booking", "replaced_by").prefetch_related("lines__service")


class Quote(Visit, models.Model):
    """Jobs for a price, as mailed. It is never edited: another quote replaces it. It goes with its message."""

    class State(models.TextChoices):
        OPEN = "open", "Waits for the customer"
        ACCEPTED = "accepted", "Accepted, no time chosen yet"
        BOOKED = "booked", "Accepted and booked"
        EXPIRED = "expired", "Expired"
        REPLACED = "replaced", "Replaced by another quote"
        WITHDRAWN = "withdrawn", "Withdrawn"

    message = models.ForeignKey(ContactMessage, models.CASCADE, related_name="quotes")
    note = ProseField(max_length=2000, blank=True)
    valid_until = models.DateField(help_text="The last day on which it can be accepted.")
    key = models.CharField(max_length=64, unique=True, editable=False, help_text="Of its form: sent twice is once.")
    link_key = models.CharField(max_length=22, default=new_link_key, editable=False)
    written_at = models.DateTimeField(default=timezone.now, editable=False)
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    accepted_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)
    replaced_by = models.ForeignKey("self", models.SET_NULL, null=True, editable=False, related_name="+")
    booking = models.OneToOneField(Booking, models.SET_NULL, null=True, editable=False, related_name="quote")

    objects = QuoteQuerySet.as_manager()
    step: int
    """Of `under_way`, as `pence` is."""
    pence: int

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"Quote {self.pk}, {timezone.localtime(self.written_at):%d %b %Y}"

    def get_absolute_url(self) -> str:
        return reverse("quote", args=[self.link_token])

    @property
    def link_token(self) -> str:
        """Signed, and unguessable even to who knows the signing key; always the same text."""
        return signing.Signer(salt=_LINK_SALT).sign_object([self.pk, self.link_key])

    @property
    def form_key(self) -> str:
        """What makes every form that books it the same one. No visitor's form can have it: those have no spaces."""
        return f"quote {self.pk} {self.link_key}"

    @property
    def jobs(self) -> list[BookingLine]:  # type: ignore[override]  # read when asked for
        """Its lines as a visit would have them."""
        return [line.as_job() for line in self.lines.all()]

    @property
    def state(self) -> State:
        """What can be done with it now; a visit that was cancelled can be booked again at its price."""
        return self.state_on(timezone.localdate())

    def state_on(self, day: date) -> State:
        """The same of who asks on this day of the business."""
        if self.booking and _stands(self.booking):
            return self.State.BOOKED
        if self.withdrawn_at:
            return self.State.REPLACED if self.replaced_by_id else self.State.WITHDRAWN
        if self.accepted_at:
            return self.State.ACCEPTED
        return self.State.EXPIRED if self.valid_until < day else self.State.OPEN

    @property
    def is_open(self) -> bool:
        """Whether staff may still withdraw or replace it."""
        return self.state in (self.State.OPEN, self.State.ACCEPTED)


def _has_visit(now: datetime) -> Q:
    """What `_stands` says of its booking, for many. True or false, never unknown, so that it can be negated."""
    lost = Q(booking__status=Status.HELD, booking__hold_expires_at__isnull=False, booking__hold_expires_at__lte=now)
    return Q(booking__isnull=False) & ~Q(booking__status=Status.CANCELLED) & ~lost


def _stands(booking: Booking) -> bool:
    """Whether it is a visit, or still may become one: not cancelled, nor held for a time that is up."""
    lost = booking.status == Status.HELD and booking.hold_expires_at and booking.hold_expires_at <= timezone.now()
    return booking.status != Status.CANCELLED and not lost


class QuoteLine(models.Model):
    """A job of a quote, with its fixed price and the time that is planned for it: those of the whole line."""

    quote = models.ForeignKey(Quote, models.CASCADE, related_name="lines")
    service = models.ForeignKey(Service, models.PROTECT, related_name="quote_lines")
    quantity = models.PositiveSmallIntegerField(default=1)
    minutes = models.PositiveSmallIntegerField(help_text="Time on the job, for all of the quantity.")
    price_pence = models.PositiveIntegerField(help_text="For all of the quantity, in pence.")

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.CheckConstraint(
                name="quote_line_is_some_work", condition=models.Q(quantity__gte=1, minutes__gte=1, price_pence__gte=1)
            ),
        )

    def __str__(self) -> str:
        return self.as_job().name

    def as_job(self) -> BookingLine:
        """The unsaved line of a visit that it becomes."""
        return BookingLine(
            service=self.service,
            quantity=self.quantity,
            minutes=self.minutes,
            pricing=Pricing.FIXED,
            price_pence=self.price_pence,
        )
