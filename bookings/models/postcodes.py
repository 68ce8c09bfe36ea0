"""Where postcodes are. Empty in a business that has imported none: then nothing in it knows of travel."""

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import Combinable

from bookings.geography import Point, hull

_POINT = models.Func(
    models.F("latitude"),
    models.F("longitude"),
    template="ARRAY[%(expressions)s]",
    output_field=ArrayField(models.FloatField()),
)


class PostcodeQuerySet(models.QuerySet["Postcode"]):
    def point(self, code: str | Combinable) -> models.Subquery:
        """For a query of something else: [latitude, longitude] of a postcode, or NULL. An OuterRef names a column."""
        return models.Subquery(self.filter(code=code).values(point=_POINT))

    def find(self, code: str | None) -> list[float] | None:
        """[latitude, longitude] of a postcode, or None. One query."""
        return self.filter(code=code).values_list(_POINT, flat=True).first()

    def corners(self) -> ArraySubquery:
        """For a query of something else: a list of [latitude, longitude] around all postcodes, empty without any."""
        return ArraySubquery(self.filter(is_corner=True).values(point=_POINT))

    def lacks(self, code: Combinable) -> models.Q:
        """For a query of something else: whether this postcode should be known and is not. Never without any."""
        return models.Q(models.Exists(self.filter(is_corner=True)), ~models.Exists(self.filter(code=code)))

    def replace_all(self, points: dict[str, Point]) -> None:
        """Keep these postcodes alone, given as (latitude, longitude)."""
        corners = set(hull(points.values()))
        self.all().delete()
        rows = (
            self.model(code=code, latitude=latitude, longitude=longitude, is_corner=(latitude, longitude) in corners)
            for code, (latitude, longitude) in points.items()
        )
        self.bulk_create(rows, batch_size=10_000)


class Postcode(models.Model):
    """A postcode, as `Country.postcode` writes it, and the point in its middle (WGS 84)."""

    code = models.CharField(max_length=12, primary_key=True)
    latitude = models.FloatField()
    longitude = models.FloatField()
    is_corner = models.BooleanField(default=False, help_text="No other postcode lies further out.")

    objects = PostcodeQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=["is_corner"], name="postcode_corner", condition=models.Q(is_corner=True)),)

    def __str__(self) -> str:
        return self.code
