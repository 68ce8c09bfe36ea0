"""Whose visits a member of staff sees: a handyman sees his own."""

from typing import Any, TypeVar, cast

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, QuerySet

from bookings.models import Handyman

OWN, EVERY = "bookings.view_own_booking", "bookings.view_every_booking"
_Row = TypeVar("_Row", bound=Model)
_OFFICE = ("bookings.view_booking", "bookings.change_booking")


def sees_own_only(user: User | AnonymousUser) -> bool:
    """Whether the user is a handyman (by his record, or by the crew's permission alone) who may not see the others."""
    if user.has_perm(EVERY):
        return False
    crew_alone = user.has_perm(OWN) and not any(user.has_perm(each) for each in _OFFICE)
    return crew_alone or Handyman.objects.filter(user=cast(User, user)).exists()


def visible(rows: QuerySet[_Row], user: User | AnonymousUser, *, by: str = "handyman__user") -> QuerySet[_Row]:
    """The rows the user may see; `by` leads from a row to its handyman's user. None for one who is no handyman yet."""
    own: dict[str, Any] = {by: user}
    return rows.filter(**own) if sees_own_only(user) else rows


def may_see(user: User | AnonymousUser) -> bool:
    """Whether a handyman sees his own visits at /crew/."""
    return any(user.has_perm(each) for each in (OWN, *_OFFICE))


def may_report(user: User | AnonymousUser) -> bool:
    """Whether a handyman may report from his own visits."""
    return user.has_perm("bookings.report_own_booking")


def may_ask(user: User | AnonymousUser) -> bool:
    """Whether a handyman may ask for time off."""
    return user.has_perm("bookings.add_timeoffrequest")
