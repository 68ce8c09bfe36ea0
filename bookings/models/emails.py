"""What is kept of e-mails: which have left, and the address that one is still owed to."""

from django.db import models
from django.utils import timezone

from bookings.models.booking import Booking


class FormerAddress(models.Model):
    """The e-mail address that a booking had before its customer changed it, until a notice has been sent there."""

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="former_addresses")
    email = models.EmailField()

    def __str__(self) -> str:
        return f"Of {self.booking}"


class SentEmail(models.Model):
    """An e-mail that has left, or (without `sent_at`) may have. Its key makes a repeated task send nothing twice."""

    key = models.CharField(max_length=100, unique=True)
    sent_at = models.DateTimeField(null=True, default=timezone.now)

    def __str__(self) -> str:
        return self.key
