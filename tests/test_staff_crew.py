"""A handyman sees his own visits, wherever the admin shows any; who may see everybody's says a permission."""

from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bookings.models import Booking, Handyman, Payment, Review, TimeOff, WaitlistEntry
from tests import factories, forms

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LIST, SCHEDULE = "/admin/bookings/booking/", "/admin/bookings/booking/schedule/"


@dataclass(frozen=True)
class Crew:
    """Amir, who logs in as `user`, a colleague, and a visit of each in the same week."""

    user: User
    amir: Handyman
    own: Booking
    colleagues: Booking

    @property
    def day(self) -> str:
        return str(timezone.localdate(self.own.starts_at))


@pytest.fixture
def crew() -> Crew:
    user = User.objects.create_user("amir", is_staff=True)
    user.groups.add(Group.objects.get(name="Handymen"))
    service = factories.service()
    amir, beth = factories.handyman(service, user=user), factories.handyman(service)
    own, other = (
        factories.booking(
            service=service,
            handyman=person,
            starts_at=factories.tomorrow(),
            customer_name=name,
            postcode=f"SE15 4Q{name[0]}",
            notes=f"Notes of {name}",
        )
        for person, name in ((amir, "Olive Own"), (beth, "Carla Canary"))
    )
    for visit in (own, other):
        Payment.objects.create(
            booking=visit, amount_pence=1000, currency="gbp", session_expires_at=timezone.now() + timedelta(hours=1)
        )
    return Crew(user, amir, own, other)


def pages(crew: Crew) -> list[str]:
    """Every page of the admin that could show a visit, of the colleague's rows too."""
    other, found = crew.colleagues, ["/admin/", f"{LIST}export/", f"{SCHEDULE}?day={crew.day}"]
    found += [f"{SCHEDULE}?day={crew.day}&handyman={other.handyman_id}", f"{LIST}cancel/?ids={crew.own.pk},{other.pk}"]
    found += [f"{LIST}{other.pk}/preview/", f"/admin/bookings/booking/customer/?booking={other.pk}"]
    found += [f"{LIST}?q=Canary", f"{LIST}?handyman__id__exact={other.handyman_id}"]
    found += [f"/admin/bookings/payment/refund/?ids={other.payment.pk}"]
    rows: tuple[Model, ...] = (other, other.payment, other.handyman, TimeOff.objects.create(
        handyman=other.handyman, starts_at=other.starts_at + DAY, ends_at=other.ends_at + DAY, reason="Carla Canary"
    ))  # fmt: skip
    rows += (
        WaitlistEntry.objects.create(
            service=other.service, booking=other, last_day=other.starts_at.date(), confirmed_at=timezone.now()
        ),
        Review.objects.create(booking=other, author="Carla Canary", body="Good.", date=other.starts_at.date()),
    )
    taken = f"{other.starts_at:%Y-%m-%dT%H:%M:%SZ} {other.handyman_id}"
    for page in (f"{LIST}{crew.own.pk}/move/ask/", f"{LIST}{crew.own.pk}/move/"):
        found.append(f"{page}?{urlencode({'take': taken})}")
    for row in rows:
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        found += [reverse(f"{name}_{verb}", args=[row.pk]) for verb in ("change", "history", "delete")]
    for model in admin.site._registry:
        found.append(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
    return found


def test_no_page_shows_him_another_ones_visit(crew: Crew, client: Client) -> None:
    """With every permission but the one to see everybody's: what he lacks is not what hides them."""
    crew.user.user_permissions.set(Permission.objects.exclude(codename="view_every_booking"))
    client.force_login(crew.user)
    other, own_seen = crew.colleagues, 0
    secrets = ("Carla Canary", other.reference, other.customer_email, other.address, other.postcode)
    for page in pages(crew):
        text = client.get(page, follow=True).content.decode()
        assert not [secret for secret in secrets if secret in text], page
        own_seen += "Olive Own" in text
    assert own_seen >= 5


def test_he_changes_no_visit_of_another_one(crew: Crew, client: Client) -> None:
    crew.user.user_permissions.set(Permission.objects.exclude(codename="view_every_booking"))
    client.force_login(crew.user)
    client.post(f"{LIST}cancel/?ids={crew.colleagues.pk}")
    client.post(LIST, {"action": "complete", "_selected_action": [crew.colleagues.pk]})
    client.post(f"{LIST}{crew.colleagues.pk}/change/", {"customer_name": "x", "cancel": "1"})
    told = client.post(
        "/admin/bookings/holiday/add/", {"date": crew.day, "name": "Founders"}, follow=True
    ).content.decode()
    assert "Olive Own" in told
    assert "Carla Canary" not in told
    crew.colleagues.refresh_from_db()
    assert (crew.colleagues.status, crew.colleagues.customer_name) == ("confirmed", "Carla Canary")


def test_his_group_alone_shows_him_his_week(crew: Crew, client: Client) -> None:
    client.force_login(crew.user)
    for page in (f"{SCHEDULE}?day={crew.day}", LIST, f"{LIST}{crew.own.pk}/change/"):
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert "Olive Own" in answer.content.decode(), page
    assert crew.own.address in client.get(f"{SCHEDULE}?day={crew.day}").content.decode()
    assert client.get(f"{LIST}export/").status_code == 403
    assert client.get(f"{LIST}{crew.colleagues.pk}/change/").status_code == 302  # as for a row that is not there


def test_a_handyman_without_a_record_sees_no_visit(crew: Crew, client: Client) -> None:
    Handyman.objects.update(user=None)
    client.force_login(crew.user)
    assert not client.get(LIST).context["cl"].result_list
    page = client.get(f"{SCHEDULE}?day={crew.day}").content.decode()
    assert "No handyman's record names your account yet" in page
    assert "Olive Own" not in page


def test_the_office_sees_all_even_as_a_handyman(crew: Crew, client: Client) -> None:
    crew.user.groups.add(Group.objects.get(name="Office"))
    client.force_login(crew.user)
    assert set(client.get(LIST).context["cl"].result_list) == {crew.own, crew.colleagues}
    owner = User.objects.create_superuser("owner")
    Handyman.objects.filter(pk=crew.amir.pk).update(user=owner)
    client.force_login(owner)
    assert set(client.get(LIST).context["cl"].result_list) == {crew.own, crew.colleagues}


def test_one_account_is_one_handyman(crew: Crew, admin_client: Client) -> None:
    page = admin_client.get(f"/admin/bookings/handyman/{crew.colleagues.handyman_id}/change/").content.decode()
    assert 'name="user"' in page
    crew.user.delete()
    crew.amir.refresh_from_db()
    assert crew.amir.user is None


def test_groups_of_an_earlier_release_are_narrowed_once() -> None:
    handymen, office = Group.objects.get(name="Handymen"), Group.objects.get(name="Office")
    handymen.permissions.set(Permission.objects.filter(codename__in=("view_booking", "view_handyman")))
    office.permissions.set(Permission.objects.filter(codename__in=("view_booking", "change_booking")))
    with connection.schema_editor() as editor:
        import_module("bookings.migrations.0011_handyman_sees_own_visits").narrow(apps, editor)
    assert set(handymen.permissions.values_list("codename", flat=True)) == {"view_own_booking", "view_handyman"}
    names = set(office.permissions.values_list("codename", flat=True))
    assert names == {"view_booking", "change_booking", "view_every_booking"}


def test_handymen_choose_how_often_they_are_notified_and_change_nothing_else(crew: Crew, client: Client) -> None:
    client.force_login(crew.user)
    page = reverse("admin:bookings_handyman_change", args=[crew.amir.pk])
    form = forms.posted(client.get(page).content) | {
        "notifications": "daily",
        "name": "Somebody else",
        "email": "e@example.com",
    }
    assert client.post(page, form).status_code == 302
    kept = crew.amir.name
    crew.amir.refresh_from_db()
    assert (crew.amir.notifications, crew.amir.name) == ("daily", kept)
    other = reverse("admin:bookings_handyman_change", args=[crew.colleagues.handyman_id])
    client.post(other, form)
    assert Handyman.objects.get(pk=crew.colleagues.handyman_id).notifications == "at_once"
