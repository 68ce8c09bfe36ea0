"""A deposit, from the request for it to the money's way back, and what Stripe has reported."""

from django.db import models
from django.utils import timezone

from bookings import money
from bookings.models.booking import Booking
from bookings.models.posts import new_idempotency_key


class Payment(models.Model):
    """The deposit of one booking. It is paid at most once: there is one Checkout Session for it, ever.

    Amounts are integers in the minor unit of `currency`: pence, cents, yen. No card data, no personal data.
    """

    class Status(models.TextChoices):
        OPEN = "open", "Not paid yet"
        CLOSED = "closed", "Never paid"
        PAID = "paid", "Paid"
        REFUNDING = "refunding", "On its way back"
        REFUNDED = "refunded", "Refunded"

    class Reason(models.TextChoices):
        CANCELLED = "cancelled", "The visit was cancelled"
        LATE = "late", "Paid after the time was given to somebody else"
        STAFF = "staff", "Staff decided so"

    booking = models.OneToOneField(Booking, models.PROTECT, related_name="payment")
    amount_pence = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, help_text="ISO 4217, lower case, as Stripe writes it.")
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    refund_reason = models.CharField(max_length=10, choices=Reason, blank=True)
    # Every call to Stripe that changes something carries a key made of this one, so a repetition changes nothing.
    idempotency_key = models.CharField(max_length=64, unique=True, default=new_idempotency_key, editable=False)
    session_id = models.CharField(max_length=255, unique=True, null=True, blank=True, editable=False)
    session_url = models.TextField(blank=True, editable=False)
    session_expires_at = models.DateTimeField(editable=False)
    intent_id = models.CharField(max_length=255, unique=True, null=True, blank=True, editable=False)
    refund_id = models.CharField(max_length=255, unique=True, null=True, blank=True, editable=False)
    origin = models.CharField(
        max_length=100,
        default="",
        db_default="",
        editable=False,
        help_text="What sent the customer to Stripe.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    asked_at = models.DateTimeField(null=True, editable=False, help_text="When Stripe was last asked about it.")
    paid_at = models.DateTimeField(null=True, editable=False)
    refunded_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-created_at",)
        permissions = (("refund_payment", "Can refund a deposit"),)
        indexes = (
            models.Index(
                fields=["asked_at"], name="payment_unsettled", condition=models.Q(status__in=("open", "refunding"))
            ),
        )
        constraints = (
            models.CheckConstraint(name="payment_has_an_amount", condition=models.Q(amount_pence__gt=0)),
            models.CheckConstraint(
                name="payment_paid_by_an_intent",
                condition=models.Q(status__in=("open", "closed")) | models.Q(intent_id__isnull=False),
            ),
            models.CheckConstraint(
                name="payment_refunded_by_a_refund",
                condition=~models.Q(status="refunded") | models.Q(refund_id__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.amount}, {self.get_status_display().lower()}"

    @property
    def amount(self) -> str:
        """As it reads on a page: £20, whatever BUSINESS_CURRENCY is by now."""
        return money.text(self.amount_pence, self.currency.upper())

    @property
    def is_kept(self) -> bool:
        """Whether the money is with us and stays."""
        return self.status == self.Status.PAID

    @property
    def goes_back(self) -> bool:
        return self.status in (self.Status.REFUNDING, self.Status.REFUNDED)


class StripeEvent(models.Model):
    """An event that Stripe's webhook brought. Its id makes a repetition count once; no payload is kept."""

    event_id = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=100)
    payment = models.ForeignKey(Payment, models.CASCADE, null=True, blank=True, related_name="stripe_events")
    happened_at = models.DateTimeField(help_text="By Stripe's clock.")
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-received_at",)
        indexes = (models.Index(fields=["received_at"], name="stripe_event_received_at"),)

    def __str__(self) -> str:
        return self.kind
