"""The roles of staff. Made when they are missing; what the owner changes in them afterwards stays as it is."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError, transaction

_ALL = ("view", "add", "change", "delete")

# Models of this app by what the group may do with them.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    # Takes bookings on the phone, answers messages, keeps the diary.
    "Office": {
        "booking": ("view", "view_every", "add", "change"),
        "contactmessage": ("view", "change"),
        "handyman": ("view", "change"),
        "workinghours": _ALL,
        "timeoff": _ALL,
        "timeoffrequest": ("view", "change"),
        "holiday": _ALL,
        "officecontact": _ALL,
        "review": _ALL,
        "portrait": ("view", "add", "delete"),
        "assurance": ("view",),
        "payment": ("view", "refund"),
        "service": ("view",),
        "servicearea": ("view",),
        "waitlistentry": ("view", "delete"),
    },
    # Sees where he himself is to go, and reports from there (crew/). Takes no list home: exports want `change`.
    "Handymen": {
        "booking": ("view_own", "report_own"),
        "handyman": ("view",),
        "timeoff": ("view",),
        "timeoffrequest": ("add",),
        "holiday": ("view",),
    },
    # Sees how the site is doing, and nothing of customers.
    "Operations": {},
}
_OPERATIONS = ("view_operations", "view_procrastinatejob", "view_procrastinateevent")


_known: dict[str, set[int]] = {}
"""By database, the permissions there were before the migrations that run."""


def remember_permissions(using: str, **_: Any) -> None:
    """Before every migration; a receiver of pre_migrate."""
    try:
        with transaction.atomic(using=using):
            _known[using] = set(Permission.objects.using(using).values_list("pk", flat=True))
    except DatabaseError:  # before the first migration
        _known[using] = set()


def create_groups(using: str, **_: Any) -> None:
    """After every migration; a receiver of post_migrate, when this app's permissions are there.

    A group that is there already gets the permissions that this release has brought.
    """
    for name, models in GROUPS.items():
        wanted = {f"{verb}_{model}" for model, verbs in models.items() for verb in verbs}
        found = Permission.objects.using(using).filter(content_type__app_label="bookings", codename__in=wanted)
        if name == "Operations":
            found = Permission.objects.using(using).filter(codename__in=_OPERATIONS)
        with transaction.atomic(using=using):
            group, made = Group.objects.using(using).get_or_create(name=name)
            known = set() if made else _known.get(using, set())
            group.permissions.add(*(each for each in found if each.pk not in known))
