"""What an operator should know of the catalogue: `manage.py check --database default`, and every migration."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError, transaction

from bookings.slots import calendars


@register(Tags.database)
def check_services(
    app_configs: Sequence[AppConfig] | None, *, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """A warning for each active service that nobody can be booked for."""
    if "default" not in (databases or ()):
        return []
    try:
        with transaction.atomic():
            found = calendars.impossible()
    except DatabaseError:  # before the first migration
        return []
    hint = "Give an active handyman the skill and long enough hours, or make the service inactive."
    return [Warning(f"Nobody can be booked for {each.name!r}.", hint=hint, id="bookings.W001") for each in found]
