"""A visit, and what became of it."""

import secrets
from datetime import datetime, timedelta
from typing import Self, cast

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GinIndex, GistIndex
from django.core import signing
from django.db import models
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange, NumericRange
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils import timezone

from bookings import country, search
from bookings.models.catalogue import Priced, Service
from bookings.models.fields import AddressField, EmailField, LineField, PhoneField, ProseField
from bookings.models.history import BookingEvent
from bookings.models.lines import BookingLine, Visit, lasting
from bookings.models.people import Handyman
from bookings.models.postcodes import Postcode
from bookings.models.posts import new_idempotency_key


class Status(models.TextChoices):
    HELD = "held", "Held"
    CONFIRMED = "confirmed", "Confirmed"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"
    NO_SHOW = "no_show", "No-show"


# A booking in one of these keeps its handyman busy.
OCCUPYING = (Status.HELD, Status.CONFIRMED, Status.COMPLETED)

# No letter or digit that is misread on the phone.
_REFERENCE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
# A handyman as a range of one: what an exclusion constraint compares without the extension btree_gist.
_AS_RANGE = "int8range(%(expressions)s, %(expressions)s, '[]')"
_LINK_SALT = "bookings.link"


def new_reference() -> str:
    return "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(8))


def new_link_key() -> str:
    return secrets.token_urlsafe(16)


def usual_deadline(starts_at: datetime) -> datetime:
    """Until when a visit may be moved or cancelled online, whenever it was booked."""
    return starts_at - timedelta(hours=settings.BOOKING_CHANGE_HOURS)


def words_of_a_booking(path: str = "") -> models.Func:
    """What staff find a booking by; `path` leads to it from another model, such as "booking__"."""
    texts = (f"{path}{name}" for name in ("reference", "customer_name", "customer_email", "address"))
    return search.vector(*texts, phone=f"{path}customer_phone", postcode=f"{path}postcode")


WORDS_OF_A_BOOKING = words_of_a_booking()


class BookingQuerySet(models.QuerySet["Booking"]):
    def occupying(self, now: datetime) -> Self:
        """Bookings that keep a handyman busy; a hold that has run out does not."""
        return self.filter(status__in=OCCUPYING).exclude(status=Status.HELD, hold_expires_at__lte=now)

    def overlapping(self, start: datetime, end: datetime) -> Self:
        return self.filter(during__overlap=(start, end))

    def of(self, handyman_id: int) -> Self:
        """One handyman's bookings, asked for as the exclusion constraint writes it: its index finds those of a time
        among a million, where the one on the foreign key reads all of the handyman's."""
        own = models.Func(models.F("handyman"), template=_AS_RANGE, output_field=BigIntegerRangeField())
        return self.alias(own=own).filter(own__overlap=NumericRange(handyman_id, handyman_id, "[]"))

    def with_jobs(self) -> Self:
        """With what a page or an e-mail says of a visit: its jobs and its handyman. One query more."""
        return self.select_related("service", "handyman").prefetch_related("lines")

    def upcoming(self, now: datetime) -> Self:
        return self.open().filter(starts_at__gte=now).order_by("starts_at")

    def of_unknown_place(self) -> Self:
        """Bookings at a postcode that is not among those imported: their buffer stands for the way."""
        return self.filter(Postcode.objects.lacks(models.OuterRef("postcode")), erased_at=None)

    def open(self) -> Self:
        """Bookings that may still be moved, cancelled or carried out."""
        return self.filter(status__in=(Status.HELD, Status.CONFIRMED))

    def for_change(self, pk: int) -> "Booking":
        """The booking, locked until the transaction ends. Raises Booking.DoesNotExist.

        Without a join: PostgreSQL looks again at a row that it had to wait for, and finds none if that now belongs to
        another handyman than the one it had joined.
        """
        return self.select_for_update().get(pk=pk)

    def for_link(self, token: str) -> "Booking":
        """The booking that a signed link shows.

        Raises Booking.DoesNotExist when the link is forged, revoked or expired.
        """
        try:
            pk, key = signing.Signer(salt=_LINK_SALT).unsign_object(token)
        except (signing.BadSignature, ValueError, TypeError) as error:
            raise self.model.DoesNotExist from error
        booking = self.with_jobs().select_related("payment").get(pk=pk, link_key=key)
        if booking.link_expires_at <= timezone.now():
            raise self.model.DoesNotExist
        return booking


class Booking(Visit, Priced):
    """A handyman's visit. All times are instants.

    Service, quantity and price are those of its first job; there is a BookingLine for each further one.

    The customer was promised an arrival from `starts_at` to `arrival_until`. Within that, `during` is the place of the
    visit in the handyman's day: it begins with the planned arrival and holds the job and, where its place is not known,
    the buffer after it. It is what the exclusion constraint compares, so the windows of two visits may overlap, and
    their work may not. The ways between visits whose places are known are judged by the rules (bookings.slots).
    """

    reference = models.CharField(max_length=8, default=new_reference, editable=False)
    service = models.ForeignKey(Service, models.PROTECT, related_name="bookings")
    quantity = models.PositiveSmallIntegerField(default=1, db_default=1, editable=False)
    handyman = models.ForeignKey(Handyman, models.PROTECT, related_name="bookings")
    status = models.CharField(max_length=10, choices=Status, default=Status.CONFIRMED)
    hold_expires_at = models.DateTimeField(null=True, blank=True, help_text="Held bookings only.")

    starts_at = models.DateTimeField(help_text="The arrival window opens.")
    arrival_until = models.DateTimeField(help_text="The arrival window closes.")
    ends_at = models.DateTimeField(help_text="The job is done if it begins as planned.")
    during = DateTimeRangeField(editable=False)
    reserve = models.DurationField(
        null=True,
        editable=False,
        help_text="Kept free where the way to the next is not known. Empty: see during.",
    )

    customer_name = LineField(max_length=120)
    customer_email = EmailField(blank=True, help_text="Empty: the customer rang, and is told by phone.")
    customer_phone = PhoneField(max_length=32)
    address = AddressField(max_length=300)
    postcode = models.CharField(max_length=12, blank=True)
    notes = ProseField(blank=True, max_length=2000)
    consent_at = models.DateTimeField(editable=False)

    asked_for_handyman = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="The customer chose this handyman."
    )
    overtime = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="Staff chose a time outside of working hours."
    )
    grace_until = models.DateTimeField(
        null=True, editable=False, help_text="Until then it may be changed online, however close the visit is."
    )
    reminder_at = models.DateTimeField(
        null=True, editable=False, help_text="When a reminder is due. Empty once it is handed over, or without one."
    )

    # What was booked before there was this column, or by an older release beside this one, counts as proven.
    proven_at = models.DateTimeField(
        null=True, default=None, db_default=Now(), editable=False, help_text="When its e-mail address was last proved."
    )
    client = models.CharField(
        max_length=40, blank=True, default="", db_default="", editable=False, help_text="A keyed hash, while it counts."
    )

    fingerprint = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False, help_text="Of what its form asked for."
    )
    idempotency_key = models.CharField(max_length=64, default=new_idempotency_key, editable=False)
    link_key = models.CharField(max_length=22, default=new_link_key, editable=False)
    sequence = models.PositiveIntegerField(default=0, editable=False, help_text="Of its calendar entry.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    erased_at = models.DateTimeField(null=True, editable=False, help_text="Who and where were forgotten then.")

    objects = BookingQuerySet.as_manager()

    class Meta:
        ordering = ("-starts_at",)
        permissions = (
            ("view_operations", "Can see how the business and its site are doing"),
            ("erase_customer", "Can give out and erase what is kept about a customer"),
            ("view_own_booking", "Can see the visits of the handyman that the user is"),
            ("report_own_booking", "Can report from the visits of the handyman that the user is"),
            ("view_every_booking", "Can see everybody's visits, though the user is a handyman"),
        )
        indexes = (
            # A month of everybody's bookings, however many there are in other months.
            GistIndex(fields=["during"], name="booking_during", condition=models.Q(status__in=OCCUPYING)),
            models.Index(fields=["starts_at"], name="booking_starts_at"),
            models.Index(fields=["created_at"], name="booking_created_at"),
            models.Index(
                fields=["hold_expires_at"], name="booking_hold_expires", condition=models.Q(status=Status.HELD)
            ),
            models.Index(Lower("customer_email"), name="booking_customer_email"),
            models.Index(
                fields=["reminder_at"], name="booking_reminder_at", condition=models.Q(reminder_at__isnull=False)
            ),
            models.Index(fields=["client"], name="booking_client", condition=~models.Q(client="")),
            # What is not closed yet, and what is still ahead: few of many, and looked at on the office's first page.
            models.Index(
                fields=["ends_at"], name="booking_open_ends_at", condition=models.Q(status__in=("held", "confirmed"))
            ),
            GinIndex(WORDS_OF_A_BOOKING, name="booking_words"),
        )
        constraints = (
            # Two customers who take the same time of the same handyman at once: one of them fails here.
            # The handyman is compared as a range because GiST has no = for integers without btree_gist.
            ExclusionConstraint(
                name="booking_no_overlap",
                expressions=[
                    (
                        models.Func(models.F("handyman"), template=_AS_RANGE),
                        RangeOperators.OVERLAPS,
                    ),
                    ("during", RangeOperators.OVERLAPS),
                ],
                condition=models.Q(status__in=OCCUPYING),
                violation_error_message="The handyman has another booking at that time.",
            ),
            # The same form posted twice at once.
            models.UniqueConstraint(name="booking_idempotency_key", fields=["idempotency_key"]),
            models.UniqueConstraint(name="booking_reference", fields=["reference"]),
            models.CheckConstraint(
                name="booking_times_in_order",
                condition=models.Q(
                    during__startswith__gte=models.F("starts_at"),
                    during__startswith__lte=models.F("arrival_until"),
                    during__endswith__gte=models.F("ends_at"),
                    arrival_until__gte=models.F("starts_at"),
                    ends_at__gt=models.F("starts_at"),
                ),
            ),
            models.CheckConstraint(
                name="booking_hold_expires_or_not",
                condition=~models.Q(status=Status.HELD) | models.Q(hold_expires_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.reference

    def get_absolute_url(self) -> str:
        """The customer's link: whoever has it sees and manages this booking."""
        return reverse("manage_booking", args=[self.link_token])

    def take_time(
        self,
        starts_at: datetime,
        planned_at: datetime | None = None,
        lasts: tuple[timedelta, timedelta] | None = None,
        kept: timedelta | None = None,
    ) -> None:
        """Set every time of the visit from the opening of its window and the planned arrival, then by default.

        `lasts` is its duration and buffer; without it, what they are now or, of a new visit, the service's. `kept` is
        how much of the buffer stands in `during`: all of it by default, none where its slot was judged by the ways.
        """
        planned_at = planned_at or starts_at
        work = self if self.during else self.service
        duration, buffer = lasts or (work.duration, work.buffer)
        self.starts_at = starts_at
        self.arrival_until = starts_at + timedelta(minutes=settings.ARRIVAL_WINDOW_MINUTES)
        self.ends_at = planned_at + duration
        self.during = DateTimeTZRange(planned_at, self.ends_at + (buffer if kept is None else kept))
        self.reserve = buffer

    def take_price(self, first: BookingLine | None = None) -> None:
        """Keep the price of the first job: as that line has it, or as it is today."""
        now = first or BookingLine.of(self.service, self.quantity)
        self.pricing, self.price_pence, self.minimum_minutes = now.pricing, now.price_pence, now.minimum_minutes

    @property
    def jobs(self) -> list[BookingLine]:  # type: ignore[override]  # asked for each time, as lines may be added
        """The first job, which is the booking itself, and its further lines."""
        further = list(self.lines.all())
        first = BookingLine(
            booking=self,
            service=self.service,
            quantity=self.quantity,
            minutes=(self.duration - lasting(further)) // timedelta(minutes=1),
            pricing=self.pricing,
            price_pence=self.price_pence,
            minimum_minutes=self.minimum_minutes,
        )
        return [first, *further]

    @property
    def place(self) -> list[str]:
        """Where the visit is: the lines of the address with its postcode, as one writes it in BUSINESS_COUNTRY."""
        return country.current().lines(self.address, self.postcode)

    @property
    def link_token(self) -> str:
        """Signed, unguessable even to who knows the signing key, revoked by a new link_key; always the same text."""
        return signing.Signer(salt=_LINK_SALT).sign_object([self.pk, self.link_key])

    @property
    def link_expires_at(self) -> datetime:
        return self.ends_at + timedelta(days=settings.BOOKING_LINK_DAYS)

    @property
    def planned_at(self) -> datetime:
        """When the handyman means to arrive, within the window."""
        return cast(datetime, self.during.lower)

    @property
    def duration(self) -> timedelta:
        """How long the jobs take."""
        return self.ends_at - self.planned_at

    @property
    def buffer(self) -> timedelta:
        """What is kept free after them, where the way to the next visit is not known."""
        return cast(datetime, self.during.upper) - self.ends_at if self.reserve is None else self.reserve

    @property
    def latest_end(self) -> datetime:
        """When the job is done if it begins as late as the arrival window allows."""
        return self.arrival_until + self.duration

    @property
    def cancellation(self) -> BookingEvent | None:
        """The row of history that says who cancelled it, and why."""
        return self.events.filter(kind=BookingEvent.Kind.CANCELLED).last()

    @property
    def is_open(self) -> bool:
        return self.status in (Status.HELD, Status.CONFIRMED)

    @property
    def change_deadline(self) -> datetime:
        """Until when the customer may move or cancel online, free of charge; never before `grace_until`."""
        deadline = usual_deadline(self.starts_at)
        return max(deadline, min(self.grace_until, self.starts_at)) if self.grace_until else deadline

    def can_be_changed(self, now: datetime) -> bool:
        """Whether the customer may still move or cancel it online."""
        return self.is_open and now <= self.change_deadline
