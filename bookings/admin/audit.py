"""Who did what in the admin, where Django's own forms do not write it down."""

from collections.abc import Sequence
from typing import Any, cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import pluralize


def staff_user(request: HttpRequest) -> User:
    """The user of an admin page, which lets no anonymous one in."""
    return cast(User, request.user)


def record(request: HttpRequest, changed: Sequence[Model], done: str) -> None:
    """Write one line into the admin's log for each of the objects."""
    LogEntry.objects.log_actions(staff_user(request).pk, changed, CHANGE, f"{done.capitalize()}.")


def record_export(request: HttpRequest, rows: QuerySet[Any]) -> None:
    """Write down that somebody took a list away, and how long it was."""
    number = rows.count()
    LogEntry.objects.create(
        user=staff_user(request),
        content_type=ContentType.objects.get_for_model(rows.model),
        object_repr=f"A list of {rows.model._meta.verbose_name_plural}",
        action_flag=CHANGE,
        change_message=f"Exported {number} row{pluralize(number)}.",
    )
