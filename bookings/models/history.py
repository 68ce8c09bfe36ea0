"""What happened to a booking, row by row."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from bookings.models.people import Handyman


class BookingEvent(models.Model):
    """A row of a booking's history. Written with every change, never edited."""

    class Kind(models.TextChoices):
        HELD = "held", "Held"
        CREATED = "created", "Booked"
        CONFIRMED = "confirmed", "Confirmed"
        MOVED = "moved", "Moved"
        ADDED = "added", "Job added"
        CORRECTED = "corrected", "Corrected"
        COMPLETED = "completed", "Completed"
        CANCELLED = "cancelled", "Cancelled"
        NO_SHOW = "no_show", "No-show"
        ON_THE_WAY = "on_the_way", "On the way"
        ARRIVED = "arrived", "Arrived"
        LATE = "late", "Running late"
        COULD_NOT = "could_not", "Could not be done"
        REPORTED = "reported", "Reported in vain"
        EXPIRED = "expired", "Hold ran out"
        CHECKOUT = "checkout", "Sent to pay"
        PAID = "paid", "Deposit paid"
        REINSTATED = "reinstated", "Booked again"
        REOPENED = "reopened", "Open again"
        REFUNDING = "refunding", "Refund owed"
        REFUNDED = "refunded", "Deposit refunded"

    class By(models.TextChoices):
        CUSTOMER = "customer", "Customer"
        STAFF = "staff", "Staff"
        SYSTEM = "system", "System"

    booking = models.ForeignKey("bookings.Booking", models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10, choices=Kind)
    by = models.CharField(max_length=10, choices=By)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    note = models.CharField(max_length=200, blank=True)
    asked = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="Of staff's cancellation: the customer asked for it."
    )
    was_at = models.DateTimeField(null=True, editable=False, help_text="Of a move: when the visit was to start before.")
    was_with = models.ForeignKey(
        Handyman,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        help_text="Of a move: who had it before.",
    )

    class Meta:
        ordering = ("at", "pk")

    def __str__(self) -> str:
        return f"{self.get_kind_display()} by {self.get_by_display().lower()}"

    @property
    def is_ours(self) -> bool:
        """The business wanted it, and not the customer."""
        return self.by != self.By.CUSTOMER and not self.asked
