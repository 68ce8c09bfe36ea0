"""Who in the business is notified of bookings, how often, and what they have not been sent yet."""

from django.conf import settings
from django.db import models

from bookings.models.fields import EmailField
from bookings.models.history import BookingEvent
from bookings.models.people import Handyman, Recipient


class OfficeContact(Recipient):
    """An address in the office that is notified of bookings. The first row, without an address, is STAFF_EMAIL."""

    email = EmailField(
        blank=True, db_default="", unique=True, help_text="Empty: the address that STAFF_EMAIL is set to."
    )

    class Meta:
        ordering = ("email",)

    def __str__(self) -> str:
        return self.address

    @property
    def address(self) -> str:
        return self.email or settings.STAFF_EMAIL


class Notification(models.Model):
    """A change that one recipient has yet to be sent. Written in the transaction of the change: it is the outbox.

    `notifications.hand_over` turns the rows that are due into a task, and deletes them.
    """

    event = models.ForeignKey(BookingEvent, models.CASCADE, related_name="+")
    handyman = models.ForeignKey(Handyman, models.CASCADE, null=True, related_name="pending")
    contact = models.ForeignKey(OfficeContact, models.CASCADE, null=True, related_name="pending")

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="notification_has_one_recipient",
                condition=models.Q(handyman__isnull=True) ^ models.Q(contact__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} for {self.handyman or self.contact}"
