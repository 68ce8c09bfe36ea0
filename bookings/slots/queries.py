"""What the diary asks the database, written out once for each kind of question (bookings/kept_query.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import DateTimeField, DurationField, Exists, F, FloatField, OuterRef, QuerySet, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from bookings.kept_query import KeptQuery
from bookings.models import Booking, Handyman, Holiday, Postcode, Service, TimeOff, WorkingHours

_NOTHING = (Value(None, DateTimeField()), Value(None, DurationField()), Value(None, ArrayField(FloatField())))
"""What of a visit there is not of time off."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose time is asked for: active handymen who do all of these services, or `handyman` alone among them."""

    services: tuple[int, ...] = ()
    handyman: int | None = None

    @classmethod
    def of(cls, services: Sequence[Service], handyman: Handyman | None) -> "Whose":
        return cls(tuple(each.pk for each in services), handyman.pk if handyman is not None else None)

    @property
    def kind(self) -> tuple[int, bool]:
        """What the words of a query depend on."""
        return len(self.services), self.handyman is not None

    @property
    def values(self) -> tuple[int, ...]:
        """What a query of this kind takes first."""
        return (*self.services, *(() if self.handyman is None else (self.handyman,)))


@cache
def crew(kind: tuple[int, bool], anywhere: bool) -> KeptQuery:
    """When each works; where he leaves from, and returns to; where the job is; and whether any postcodes are known.

    Takes `Whose.values` and the job's postcode, unless that is `anywhere` in the area.
    """
    most, of_one = kind

    def query(*values: Any) -> QuerySet[Any, Any]:
        hours = WorkingHours.objects.filter(handyman__active=True)
        for each in values[:most]:
            hours = hours.filter(handyman__skills=each)
        if of_one:
            hours = hours.filter(handyman=values[most])
        return hours.values_list(
            "handyman_id",
            "weekday",
            "start",
            "end",
            Postcode.objects.point(OuterRef("handyman__start_postcode")),
            Postcode.objects.point(OuterRef("handyman__end_postcode")),
            Postcode.objects.corners() if anywhere else Postcode.objects.point(values[-1]),
            Exists(Postcode.objects.filter(is_corner=True)),
        )

    return KeptQuery(query, *[int] * (most + of_one), *([] if anywhere else [str]))


@cache
def taken(kind: tuple[int, bool], ignoring: bool) -> KeptQuery:
    """What is booked between two instants, and time off, in rows of the same columns: of time off the last are NULL.

    Takes `Whose.values`, the two instants and now; then the booking to leave out, where one is.
    """
    most, of_one = kind

    def query(*values: Any) -> QuerySet[Any, Any]:
        start, end, now, *left_out = values[most + of_one :]
        bookings = Booking.objects.occupying(now).overlapping(start, end)
        absences = TimeOff.objects.overlapping(start, end)
        if of_one:
            bookings, absences = bookings.of(values[most]), absences.filter(handyman=values[most])
        else:
            ids = Handyman.objects.skilled_in(*values[:most]).order_by().values("pk")
            bookings, absences = bookings.filter(handyman__in=ids), absences.filter(handyman__in=ids)
        for pk in left_out:
            bookings = bookings.exclude(pk=pk)
        reserve = Coalesce("reserve", F("during__endswith") - F("ends_at"), output_field=DurationField())
        point = Postcode.objects.point(OuterRef("postcode"))
        visits = bookings.values_list(
            "handyman_id", "during__startswith", "during__endswith", "ends_at", reserve, point
        )
        away = absences.values_list("handyman_id", "starts_at", "ends_at", *_NOTHING)
        return visits.order_by().union(away.order_by(), all=True)

    return KeptQuery(query, *[int] * (most + of_one), datetime, datetime, datetime, *([int] if ignoring else []))


@cache
def holidays() -> KeptQuery:
    """From one day to another, inclusive."""

    def query(first: date, last: date) -> QuerySet[Any, Any]:
        return Holiday.objects.filter(date__range=(first, last)).values_list("date")

    return KeptQuery(query, date, date)


@cache
def given() -> KeptQuery:
    """When each of these handymen was last given a visit, by id."""

    def query(ids: list[int]) -> QuerySet[Any, Any]:
        return Handyman.objects.filter(pk__in=_each(ids)).order_by().values_list("pk", "given_at")

    return KeptQuery(query, list)


@cache
def begins() -> KeptQuery:
    """Handyman and start of each visit of these handymen between two instants, as of now."""

    def query(ids: list[int], start: datetime, end: datetime, now: datetime) -> QuerySet[Any, Any]:
        visits = Booking.objects.occupying(now).overlapping(start, end).order_by()
        return visits.filter(handyman__in=_each(ids)).values_list("handyman_id", "starts_at")

    return KeptQuery(query, list, datetime, datetime, datetime)


def _each(ids: list[int]) -> RawSQL:
    """However many they are: Django writes out a list, each with another statement."""
    return RawSQL("SELECT unnest(%s::bigint[])", [ids])
