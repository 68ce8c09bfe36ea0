"""Who did what in the admin, where Django's own forms do not write it down."""

from collections.abc import Sequence
from typing import cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest


def staff_user(request: HttpRequest) -> User:
    """The user of an admin page, which lets no anonymous one in."""
    return cast(User, request.user)


def record(request: HttpRequest, changed: Sequence[Model], done: str) -> None:
    """Write one line into the admin's log for each of the objects."""
    LogEntry.objects.log_actions(staff_user(request).pk, changed, CHANGE, f"{done.capitalize()}.")
