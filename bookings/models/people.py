"""Who does the work, and when they can."""

from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models

from bookings.models.catalogue import Service
from bookings.models.fields import EmailField, LineField, ProseField
from bookings.models.postcodes import Postcode


class HowOften(models.TextChoices):
    AT_ONCE = "at_once", "At once"
    DAILY = "daily", "Once a day"
    NEVER = "never", "Never"


class Recipient(models.Model):
    """Somebody in the business who is notified of new, moved, corrected and cancelled bookings by e-mail."""

    email = EmailField(blank=True, db_default="")
    notifications = models.CharField(
        "notify of bookings",
        max_length=10,
        choices=HowOften,
        default=HowOften.AT_ONCE,
        db_default=HowOften.AT_ONCE.value,
        help_text="E-mails about new, moved, corrected and cancelled bookings. Once a day: at seven in the morning.",
    )
    notified_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    @property
    def address(self) -> str:
        """Where the e-mails go; empty when there is nowhere."""
        return self.email

    @property
    def is_notified(self) -> bool:
        return bool(self.address) and self.notifications != HowOften.NEVER


class HandymanQuerySet(models.QuerySet["Handyman"]):
    def active(self) -> Self:
        return self.filter(active=True)

    def skilled_in(self, *services: Service | int) -> Self:
        """Active handymen who do all of these services, or of those with these ids."""
        found = self.active()
        for service in services:
            found = found.filter(skills=service)
        return found

    def with_portraits(self) -> Self:
        """With which picture each has, and not the picture."""
        return self.select_related("portrait").defer("portrait__jpeg")

    def of_unknown_place(self) -> Self:
        """Active handymen whose day begins or ends at a postcode that is not among those imported."""
        postcodes = Postcode.objects
        unknown = models.Q(pk__in=[])
        for name in ("start_postcode", "end_postcode"):
            unknown |= ~models.Q(**{name: ""}) & postcodes.lacks(models.OuterRef(name))
        return self.active().filter(unknown)

    def for_change(self) -> list["Handyman"]:
        """These handymen, locked in the order of their ids until the transaction ends.

        Whoever books one, or changes when he works and what he does, does this first and looks afterwards. So a visit
        and time off that are saved in the same instant know of each other.
        """
        return list(self.order_by("pk").select_for_update(no_key=True, of=("self",)))


class Handyman(Recipient):
    slug = models.SlugField(unique=True)
    name = LineField(max_length=80)
    bio = LineField(max_length=200, blank=True)
    checked_for = ProseField(
        max_length=500,
        blank=True,
        default="",
        db_default="",
        help_text="One a line: identity, references.",
    )
    skills = models.ManyToManyField(Service, related_name="handymen", blank=True)
    active = models.BooleanField(default=True)
    email = EmailField(blank=True, db_default="", help_text="Empty: not notified of bookings.")
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        limit_choices_to={"is_staff": True},
        help_text="Logs in as this handyman, and sees his own visits only.",
    )
    given_at = models.DateTimeField(null=True, editable=False, help_text="When a visit was last given to them.")
    start_postcode = models.CharField(
        "starts the day at", max_length=12, blank=True, db_default="", help_text="He leaves there when his hours begin."
    )
    end_postcode = models.CharField(
        "ends the day at", max_length=12, blank=True, db_default="", help_text="He is there when his hours end."
    )

    objects = HandymanQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "handymen"

    def __str__(self) -> str:
        return self.name

    @property
    def may_log_in(self) -> bool:
        """Whether he works here and has an account of staff, without which his calendar and phones get nothing."""
        return self.active and self.user is not None and self.user.is_active and self.user.is_staff

    @property
    def is_notified(self) -> bool:
        """Whoever has left gets no more of the customers' details. A phone will do in the place of an address."""
        wants = self.active and self.notifications != HowOften.NEVER
        return wants and (bool(self.address) or (self.may_log_in and self.subscriptions.exists()))


class Weekday(models.IntegerChoices):
    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


class WorkingHours(models.Model):
    """One stretch of work on a weekday, in the business's local time. A weekday may have several."""

    handyman = models.ForeignKey(Handyman, models.CASCADE, related_name="working_hours")
    weekday = models.PositiveSmallIntegerField(choices=Weekday)
    start = models.TimeField()
    end = models.TimeField(help_text="00:00 means midnight at the end of the day.")

    class Meta:
        ordering = ("handyman", "weekday", "start")
        verbose_name_plural = "working hours"
        constraints = (
            models.CheckConstraint(
                name="working_hours_end_after_start",
                condition=models.Q(end__gt=models.F("start")) | models.Q(end="00:00"),
                violation_error_message="Work must end after it starts.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.start:%H:%M}-{self.end:%H:%M}"


class TimeOffQuerySet(models.QuerySet["TimeOff"]):
    def overlapping(self, start: datetime, end: datetime) -> Self:
        return self.filter(starts_at__lt=end, ends_at__gt=start)


class TimeOff(models.Model):
    handyman = models.ForeignKey(Handyman, models.CASCADE, related_name="time_off")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = LineField(max_length=80, blank=True)

    objects = TimeOffQuerySet.as_manager()

    class Meta:
        ordering = ("starts_at",)
        verbose_name_plural = "time off"
        indexes = (models.Index(fields=["ends_at"], name="time_off_ends_at"),)
        constraints = (
            models.CheckConstraint(
                name="time_off_ends_after_it_starts",
                condition=models.Q(ends_at__gt=models.F("starts_at")),
                violation_error_message="Time off must end after it starts.",
            ),
        )

    def __str__(self) -> str:
        zone = ZoneInfo(settings.BUSINESS_TIME_ZONE)
        return f"{self.handyman}: {self.starts_at.astimezone(zone):%d %b %H:%M}, {self.reason or 'time off'}"


class Holiday(models.Model):
    """A day on which nobody works."""

    date = models.DateField(unique=True)
    name = LineField(max_length=80)

    class Meta:
        ordering = ("date",)

    def __str__(self) -> str:
        return f"{self.date:%d %b %Y}, {self.name}"
