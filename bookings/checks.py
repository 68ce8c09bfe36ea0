"""What an operator should know of the catalogue: `manage.py check --database default`, and every migration."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError, transaction
from django.utils import timezone

from bookings.models import Booking, Handyman
from bookings.slots import calendars

_T = TypeVar("_T")


@register(Tags.database)
def check_services(
    app_configs: Sequence[AppConfig] | None, *, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """A warning for each active service that nobody can be booked for."""
    found = _asked(databases, calendars.impossible) or []
    hint = "Give an active handyman the skill and long enough hours, or make the service inactive."
    return [Warning(f"Nobody can be booked for {each.name!r}.", hint=hint, id="bookings.W001") for each in found]


@register(Tags.database)
def check_places(
    app_configs: Sequence[AppConfig] | None, *, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """A warning for handymen and for visits ahead whose postcode is not known, where postcodes are imported."""
    people, visits = _asked(databases, _of_unknown_place) or ([], 0)
    hint = "Correct the postcode, or import the postcodes again: manage.py import_postcodes."
    found = [f"{each} starts or ends the day at a postcode that is not known." for each in people]
    if visits:
        found.append(f"{visits} visits ahead have a postcode that is not known: their buffer stands for the way.")
    return [Warning(each, hint=hint, id="bookings.W002") for each in found]


def _of_unknown_place() -> tuple[list[Handyman], int]:
    visits = Booking.objects.upcoming(timezone.now()).of_unknown_place()
    return list(Handyman.objects.of_unknown_place()), visits.count()


def _asked(databases: Sequence[str] | None, ask: Callable[[], _T]) -> _T | None:
    """What the database answers; None where it is not to be asked, or before its first migration."""
    if "default" not in (databases or ()):
        return None
    try:
        with transaction.atomic():
            return ask()
    except DatabaseError:
        return None
