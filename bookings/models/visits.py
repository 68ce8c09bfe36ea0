"""What a handyman reports of his visits, and the time off that he asks for."""

from datetime import date, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from bookings.models.booking import Booking
from bookings.models.fields import LineField, ProseField
from bookings.models.people import Handyman


class VisitReportQuerySet(models.QuerySet["VisitReport"]):
    def accepted(self) -> Self:
        """Reports that had their effect; the others are kept with the reason why they had none."""
        return self.filter(refused="")


class VisitReport(models.Model):
    """A tap on a handyman's phone. The same tap, sent twice, is one row; one that came too late is kept as well."""

    class Kind(models.TextChoices):
        ON_THE_WAY = "on_the_way", "On my way"
        ARRIVED = "arrived", "Arrived"
        DONE = "done", "Done"
        NO_SHOW = "no_show", "Nobody was in"
        COULD_NOT = "could_not", "Could not"
        LATE = "late", "Running late"

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="reports")
    handyman = models.ForeignKey(Handyman, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind)
    key = models.CharField(max_length=64, unique=True, editable=False)
    at = models.DateTimeField(help_text="When it was tapped.")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    minutes = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Of way, of work, or of delay.")
    words = ProseField(blank=True, max_length=2000, help_text="What was done, or why it could not be.")
    materials = ProseField(blank=True, max_length=1000)
    told = models.ForeignKey(
        Booking,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        help_text="Of a delay: the visit whose customer is told.",
    )
    refused = models.CharField(max_length=20, blank=True, editable=False, help_text="Why it changed nothing.")

    objects = VisitReportQuerySet.as_manager()

    class Meta:
        ordering = ("at", "pk")

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {timezone.localtime(self.at):%H:%M}"


class TimeOffRequest(models.Model):
    """Time off that a handyman asks for. It keeps nobody from booking him before the office has approved it."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        APPROVED = "approved", "Approved"
        DECLINED = "declined", "Declined"

    handyman = models.ForeignKey(Handyman, models.CASCADE, related_name="time_off_requests")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = LineField(max_length=80, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    key = models.CharField(max_length=64, unique=True, editable=False)
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    decided_at = models.DateTimeField(null=True, editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ("-asked_at",)
        constraints = (
            models.CheckConstraint(
                name="time_off_request_ends_after_it_starts",
                condition=models.Q(ends_at__gt=models.F("starts_at")),
                violation_error_message="Time off must end after it starts.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.handyman}, {timezone.localtime(self.starts_at):%d %b %Y %H:%M}"

    @property
    def last(self) -> date:
        """The last day of it."""
        return timezone.localdate(self.ends_at - timedelta(microseconds=1))
