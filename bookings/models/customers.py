"""The links by which customers see all their visits."""

from django.db import models
from django.utils import timezone

from bookings.models.booking import Booking


class CustomerLink(models.Model):
    """The newest link that was mailed to an address, and the page that was opened by it. Keys alone, no address.

    The address is the booking's, as long as `digest` says that it is the one that asked.
    """

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True, help_text="A keyed hash of the address.")
    mailed_key = models.CharField(max_length=22, help_text="In the e-mail's link; empty once it was used.", blank=True)
    page_key = models.CharField(max_length=22, help_text="In the address of the page, once it is open.", blank=True)
    made_at = models.DateTimeField(default=timezone.now)
    opened_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Link {self.pk}"
