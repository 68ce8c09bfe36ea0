"""Who waits for an earlier visit, and what time they were offered."""

from datetime import datetime, time
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core import signing
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from bookings.models.booking import Booking, Status, new_link_key
from bookings.models.catalogue import Service
from bookings.models.fields import AddressField, EmailField, LineField, PhoneField, ProseField
from bookings.models.people import Handyman, Weekday
from bookings.models.posts import new_idempotency_key

_LINK_SALT = "bookings.waitlist"


def every_day() -> list[int]:
    """The weekdays, Monday is 0."""
    return list(range(7))


class WaitlistEntryQuerySet(models.QuerySet["WaitlistEntry"]):
    def waiting(self) -> Self:
        """Those who are in line, whose address is proved, in their turn: who came first is first."""
        return self.filter(confirmed_at__isnull=False, ended_at=None).order_by("created_at", "pk")

    def of_address(self, email: str) -> Self:
        """The entries of an e-mail address, in any case: its own, and those of its visits."""
        lowered = email.lower()
        return self.alias(own=Lower("customer_email"), visitors=Lower("booking__customer_email")).filter(
            models.Q(own=lowered) | models.Q(visitors=lowered)
        )

    def for_link(self, token: str) -> "WaitlistEntry":
        """The entry that a mailed link shows. Raises WaitlistEntry.DoesNotExist for a forged or revoked one."""
        try:
            pk, key = signing.Signer(salt=_LINK_SALT).unsign_object(token)
        except (signing.BadSignature, ValueError, TypeError) as error:
            raise self.model.DoesNotExist from error
        return self.select_related("service", "handyman", "booking").get(pk=pk, link_key=key)


class WaitlistEntry(models.Model):
    """A customer who wants an earlier time: for a visit that is booked (`booking`), or for one that is not yet.

    Without a booking the entry holds what a booking needs, so that one press takes an offer.
    """

    class End(models.TextChoices):
        BOOKED = "booked", "Took an offer"
        STOPPED = "stopped", "Left the line"
        OVER = "over", "Nothing came in time"
        REPLACED = "replaced", "Asked again"

    service = models.ForeignKey(Service, models.PROTECT, related_name="waitlist")
    handyman = models.ForeignKey(
        Handyman, models.SET_NULL, null=True, blank=True, related_name="+", help_text="Empty: whoever is free."
    )
    booking = models.ForeignKey(
        Booking, models.CASCADE, null=True, blank=True, related_name="waitlist", help_text="The visit to be moved."
    )
    weekdays = ArrayField(models.PositiveSmallIntegerField(), default=every_day, help_text="Monday is 0.")
    not_before = models.TimeField(default=time(0), help_text="An arrival window opens then at the earliest.")
    not_after = models.TimeField(default=time(23, 59), help_text="An arrival window closes then at the latest.")
    last_day = models.DateField(help_text="Later than that it is of no use.")

    customer_name = LineField(max_length=120, blank=True)
    customer_email = EmailField(blank=True)
    customer_phone = PhoneField(max_length=32, blank=True)
    address = AddressField(max_length=300, blank=True)
    postcode = models.CharField(max_length=12, blank=True)
    notes = ProseField(blank=True, max_length=2000)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(null=True, editable=False, help_text="When its e-mail address was proved.")
    ended_at = models.DateTimeField(null=True, editable=False)
    ended = models.CharField(max_length=10, choices=End, blank=True, editable=False)
    idempotency_key = models.CharField(max_length=64, default=new_idempotency_key, editable=False)
    link_key = models.CharField(max_length=22, default=new_link_key, editable=False)

    objects = WaitlistEntryQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "pk")
        verbose_name_plural = "waitlist entries"
        indexes = (
            models.Index(Lower("customer_email"), name="waitlist_email"),
            models.Index(fields=["created_at"], name="waitlist_waiting", condition=models.Q(ended_at=None)),
        )
        constraints = (
            models.UniqueConstraint(name="waitlist_idempotency_key", fields=["idempotency_key"]),
            # Two forms about one visit at once would be offered two times for it.
            models.UniqueConstraint(
                name="waitlist_one_of_a_booking", fields=["booking"], condition=models.Q(ended_at=None)
            ),
            models.CheckConstraint(
                name="waitlist_hours_in_order", condition=models.Q(not_after__gt=models.F("not_before"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.service}, since {timezone.localtime(self.created_at):%d %b %Y}"

    def get_absolute_url(self) -> str:
        """The page of who waits: whoever has its address takes an offer, or leaves the line."""
        token = signing.Signer(salt=_LINK_SALT).sign_object([self.pk, self.link_key])
        return reverse("waitlist_entry", args=[token])

    @property
    def email(self) -> str:
        """Where offers go."""
        return self.booking.customer_email if self.booking else self.customer_email

    @property
    def title(self) -> str:
        """The job or, of a visit that is booked, all its jobs in a few words."""
        return self.booking.title if self.booking else self.service.name

    @property
    def asked_for(self) -> Handyman | None:
        """The one handyman whose time would do; None where anybody's does."""
        if self.booking:
            return self.booking.handyman if self.booking.asked_for_handyman else None
        return self.handyman

    @property
    def days(self) -> str:
        """The weekdays that suit, to be read: "Every day", "Monday, Friday"."""
        return (
            "Every day" if len(self.weekdays) == 7 else ", ".join(Weekday(day).label for day in sorted(self.weekdays))
        )

    @property
    def hours(self) -> str:
        """The hours that suit: "Any time", "From 9:00 until 12:00"."""
        first = f"from {self.not_before:%H:%M}" if self.not_before > time(0) else ""
        last = f"until {self.not_after:%H:%M}" if self.not_after < time(23, 59) else ""
        return f"{first} {last}".strip().capitalize() or "Any time"

    @property
    def is_waiting(self) -> bool:
        return self.confirmed_at is not None and self.ended_at is None

    @property
    def open_offer(self) -> "WaitlistOffer | None":
        """The offer that can be taken now."""
        found = self.offers.filter(outcome=WaitlistOffer.Outcome.OPEN).select_related("hold__handyman", "hold__service")
        offer = found.first()
        return offer if offer is not None and offer.is_kept(timezone.now()) else None


class WaitlistOffer(models.Model):
    """A time that one customer was offered, kept for them by a held booking until it is answered or the time is up."""

    class Outcome(models.TextChoices):
        OPEN = "open", "Waits for an answer"
        TAKEN = "taken", "Taken"
        DECLINED = "declined", "Declined"
        LAPSED = "lapsed", "Not answered in time"

    entry = models.ForeignKey(WaitlistEntry, models.CASCADE, related_name="offers")
    hold = models.OneToOneField(Booking, models.SET_NULL, null=True, related_name="waitlist_offer")
    starts_at = models.DateTimeField()
    made_at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.OPEN)

    class Meta:
        ordering = ("made_at", "pk")
        constraints = (
            # Nobody is written to twice about one time, nor has two kept at once, whoever looks at the same moment.
            models.UniqueConstraint(name="waitlist_offer_once", fields=["entry", "starts_at"]),
            models.UniqueConstraint(
                name="waitlist_offer_one_open", fields=["entry"], condition=models.Q(outcome="open")
            ),
        )

    def __str__(self) -> str:
        return f"{timezone.localtime(self.starts_at):%a %d %b %Y, %H:%M}"

    def is_kept(self, now: datetime) -> bool:
        """Whether its time is still kept for the customer."""
        until = self.hold.hold_expires_at if self.hold is not None and self.hold.status == Status.HELD else None
        return until is not None and until > now
