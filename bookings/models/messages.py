"""What customers say: messages with photos, and reviews."""

from dataclasses import dataclass
from typing import Self

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from bookings import search
from bookings.models.booking import Booking
from bookings.models.catalogue import Service
from bookings.models.fields import EmailField, LineField, PhoneField, ProseField
from bookings.models.people import Handyman
from bookings.models.posts import new_idempotency_key

WORDS_OF_A_MESSAGE = search.vector("name", "email", "body", phone="phone")


class ContactMessageQuerySet(models.QuerySet["ContactMessage"]):
    def unhandled(self) -> Self:
        """Messages that wait for an answer; suspected spam waits for nobody."""
        return self.filter(handled_at__isnull=True, suspected_spam=False)


class ContactMessage(models.Model):
    class Topic(models.TextChoices):
        QUESTION = "question", "A question"
        QUOTE = "quote", "A quote"
        BOOKING = "booking", "My booking"
        COMPLAINT = "complaint", "A complaint"
        OTHER = "other", "Something else"

    name = LineField(max_length=120)
    email = EmailField()
    phone = PhoneField(max_length=32, blank=True)
    topic = models.CharField(max_length=10, choices=Topic, default=Topic.QUESTION)
    body = ProseField(max_length=5000)
    suspected_spam = models.BooleanField(default=False, help_text="Kept apart in the inbox; nobody was told of it.")
    idempotency_key = models.CharField(max_length=64, unique=True, default=new_idempotency_key, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    handled_at = models.DateTimeField(null=True, blank=True)
    handled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")

    objects = ContactMessageQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(fields=["-created_at"], name="contact_message_created_at"),
            GinIndex(WORDS_OF_A_MESSAGE, name="contact_message_words"),
        )

    def __str__(self) -> str:
        return f"{self.get_topic_display()}, {timezone.localtime(self.created_at):%d %b %Y}"


class MessagePhoto(models.Model):
    """A photo sent with a message, for staff. In the database, so that it comes and goes with its message."""

    message = models.ForeignKey(ContactMessage, models.CASCADE, related_name="photos")
    jpeg = models.BinaryField(help_text="Drawn again from what was sent: no metadata.")

    def __str__(self) -> str:
        return f"Photo {self.pk}"


class MessageAnswer(models.Model):
    """What the business wrote back by e-mail, and who did. It goes with its message."""

    message = models.ForeignKey(ContactMessage, models.CASCADE, related_name="answers")
    body = ProseField(max_length=5000)
    key = models.CharField(max_length=64, unique=True, editable=False, help_text="Of its form: sent twice is once.")
    written_at = models.DateTimeField(default=timezone.now, editable=False)
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"Answer, {timezone.localtime(self.written_at):%d %b %Y, %H:%M}"


class VisitPhotoQuerySet(models.QuerySet["VisitPhoto"]):
    def from_customer(self) -> Self:
        """What the customer has sent before the visit."""
        return self.filter(handyman=None)

    def of_the_work(self) -> Self:
        """What handymen have sent from the visit."""
        return self.exclude(handyman=None)


class VisitPhoto(models.Model):
    """A photo of a visit from its customer or a handyman, for the crew and the office. It goes with its booking."""

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="photos")
    handyman = models.ForeignKey(
        Handyman, models.CASCADE, null=True, blank=True, related_name="+", help_text="Who sent it, if not the customer."
    )
    jpeg = models.BinaryField(help_text="Drawn again from what was sent: no metadata.")
    digest = models.CharField(max_length=64, help_text="Of the picture: the same one sent twice is one.")

    objects = VisitPhotoQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(name="visit_photo_once", fields=["booking", "digest"]),)

    def __str__(self) -> str:
        return f"Photo {self.pk}"


class ReviewQuerySet(models.QuerySet["Review"]):
    def shown(self) -> Self:
        """What everybody reads."""
        return self.filter(published=True)

    def to_approve(self) -> Self:
        """What customers have written that nobody in the office has looked at, the oldest first."""
        return self.filter(looked_at=None, published=False).order_by("pk")

    def summary(self) -> "ReviewSummary | None":
        """How many are shown and what they give on average; None without any. One query."""
        found = self.shown().aggregate(average=models.Avg("rating"), count=models.Count("pk"))
        return ReviewSummary(round(found["average"], 1), found["count"]) if found["count"] else None


@dataclass(frozen=True, slots=True)
class ReviewSummary:
    """`average` is from 1 to 5, with one decimal."""

    average: float
    count: int


class Review(models.Model):
    """What a customer said: entered by staff, or written by the customer after a visit and then approved by staff."""

    author = LineField(max_length=80)
    place = LineField(max_length=60, blank=True)
    rating = models.PositiveSmallIntegerField(default=5, validators=[MinValueValidator(1), MaxValueValidator(5)])
    body = ProseField(max_length=600)
    service = models.ForeignKey(Service, models.SET_NULL, null=True, blank=True, related_name="reviews")
    date = models.DateField()
    published = models.BooleanField(default=True, help_text="Everybody can read it.")
    booking = models.OneToOneField(
        Booking, models.SET_NULL, null=True, blank=True, editable=False, related_name="review", help_text="Its visit."
    )
    # What staff have entered, or an older release writes beside this one, needs no approval.
    looked_at = models.DateTimeField(
        null=True,
        default=timezone.now,
        db_default=Now(),
        editable=False,
        help_text="When staff decided about it.",
    )

    objects = ReviewQuerySet.as_manager()

    class Meta:
        ordering = ("-date",)
        constraints = (
            models.CheckConstraint(name="review_rating_1_to_5", condition=models.Q(rating__gte=1, rating__lte=5)),
        )

    def __str__(self) -> str:
        return f"{self.author}, {self.rating}/5"
