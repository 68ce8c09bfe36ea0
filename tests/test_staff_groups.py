"""What each group of staff sees and may do, and that every change names who made it."""

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client

from bookings.models import Booking, ContactMessage
from tests import factories, forms

pytestmark = pytest.mark.django_db
BOOKINGS, INBOX, SCHEDULE = (f"/admin/bookings/{page}" for page in ("booking/", "contactmessage/", "booking/schedule/"))
MEMBERS_SEE: dict[str, dict[str, int]] = {
    "Office": {
        "/admin/": 200, BOOKINGS: 200, f"{BOOKINGS}add/": 200, f"{BOOKINGS}export/": 200, SCHEDULE: 200, INBOX: 200,
        "/admin/bookings/timeoff/add/": 200, "/admin/bookings/service/": 200, "/admin/bookings/service/add/": 403,
        "/admin/bookings/payment/": 200, "/admin/operations/": 403, "/admin/auth/user/": 403,
        "/admin/axes/accessattempt/": 403, "/admin/otp_totp/totpdevice/": 403,
    },
    "Handymen": {
        "/admin/": 200, SCHEDULE: 200, BOOKINGS: 200, f"{BOOKINGS}add/": 403, f"{BOOKINGS}export/": 403, INBOX: 403,
        "/admin/bookings/timeoff/": 200, "/admin/bookings/timeoff/add/": 403, "/admin/bookings/payment/": 403,
        "/admin/operations/": 403, "/admin/auth/user/": 403,
    },
    "Operations": {
        "/admin/": 200, "/admin/operations/": 200, "/admin/procrastinate/procrastinatejob/": 200, BOOKINGS: 403,
        SCHEDULE: 403, INBOX: 403, "/admin/bookings/handyman/": 403, "/admin/auth/user/": 403,
    },
}  # fmt: skip


@pytest.fixture
def member(client: Client) -> Callable[[str], Client]:
    def join(group: str) -> Client:
        user = User.objects.create_user(group.lower(), is_staff=True)
        user.groups.set([Group.objects.get(name=group)])
        client.force_login(user)
        return client

    return join


@pytest.mark.parametrize("group", MEMBERS_SEE)
def test_it_shows_a_group_what_it_may_see(member: Callable[[str], Client], group: str) -> None:
    browser = member(group)
    assert {path: browser.get(path).status_code for path in MEMBERS_SEE[group]} == MEMBERS_SEE[group]


def test_it_leaves_a_group_as_the_owner_made_it() -> None:
    Group.objects.get(name="Handymen").permissions.clear()
    Group.objects.get(name="Operations").delete()
    call_command("migrate", verbosity=0)
    assert not Group.objects.get(name="Handymen").permissions.exists()
    assert Group.objects.get(name="Operations").permissions.filter(codename="view_operations").exists()


def test_a_group_gets_what_a_release_brings_and_keeps_what_the_owner_took_away() -> None:
    office = Group.objects.get(name="Office")
    office.permissions.remove(Permission.objects.get(codename="refund_payment"))
    Permission.objects.get(codename="view_officecontact").delete()  # as before the release that brought it
    call_command("migrate", verbosity=0)
    names = set(office.permissions.values_list("codename", flat=True))
    assert "view_officecontact" in names
    assert "refund_payment" not in names


def test_it_writes_down_who_changed_what(member: Callable[[str], Client]) -> None:
    service = factories.service()
    visit = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())
    message = ContactMessage.objects.create(name="Secret Name", email="secret@example.com", body="Secret body")
    office = member("Office")
    forms.act(office, INBOX, "mark_handled", message)
    forms.submit(office, f"{BOOKINGS}cancel/?ids={visit.pk}", note="Van broke down")
    office.get(f"{BOOKINGS}export/")
    written = LogEntry.objects.order_by("action_time").values_list("user__username", "object_repr", "change_message")
    assert [who for who, _, _ in written] == ["office"] * 3
    assert [what for _, _, what in written] == ["Handled.", "Cancelled.", "Exported 1 row."]
    assert "ecret" not in str(list(written)), "the log outlives the customer's data"
    assert Booking.objects.get().events.get(kind="cancelled").user == User.objects.get(username="office")
