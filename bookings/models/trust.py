"""Why customers may trust the business: who comes, and what it promises. The owner edits all of it."""

from typing import Self

from django.db import models
from django.urls import reverse

from bookings.models.fields import LineField, ProseField
from bookings.models.people import Handyman


class Portrait(models.Model):
    """A handyman's picture, apart from his row, which is read far more often. Another picture is another row."""

    handyman = models.OneToOneField(
        Handyman,
        models.CASCADE,
        related_name="portrait",
        error_messages={"unique": "There is a portrait already. Delete that one first."},
    )
    jpeg = models.BinaryField(help_text="Drawn again from what was sent: square, no metadata.")

    def __str__(self) -> str:
        return f"Portrait of {self.handyman}"

    def get_absolute_url(self) -> str:
        return reverse("portrait", args=[self.pk])


class AssuranceQuerySet(models.QuerySet["Assurance"]):
    def shown(self) -> Self:
        return self.filter(published=True)


class Assurance(models.Model):
    """Something that the business stands for, such as its guarantee or its insurance."""

    title = LineField(max_length=60)
    body = ProseField(max_length=600)
    position = models.PositiveSmallIntegerField(default=0)
    published = models.BooleanField(default=True)

    objects = AssuranceQuerySet.as_manager()

    class Meta:
        ordering = ("position", "title")

    def __str__(self) -> str:
        return self.title
