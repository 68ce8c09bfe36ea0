"""Staff forms and lists that were opened before somebody else changed the row: nothing is undone, nothing is lost."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from bookings import scheduling
from bookings.admin.office import OfficeAdmin
from bookings.models import (
    Assurance,
    Booking,
    ContactMessage,
    Handyman,
    Holiday,
    OfficeContact,
    Payment,
    Portrait,
    Review,
    Service,
    ServiceArea,
    Status,
    TimeOff,
    TimeOffRequest,
    WaitlistEntry,
)
from bookings.scheduling import By
from tests import factories
from tests.forms import Posted, posted

pytestmark = pytest.mark.django_db
ADMINS = [each for each in admin.site._registry.values() if each.model._meta.app_label == "bookings"]
EDITED = [each for each in ADMINS if each.model not in (Payment, Portrait, WaitlistEntry)]


def make(model: type[models.Model]) -> Any:
    """A row of any model that staff work with."""
    if model in _MADE:
        return _MADE[model]()
    service = factories.service(name="Tap repair")
    person = factories.handyman(service, name="Amir Shah")
    if model in (Booking, Payment):
        visit = factories.booking(service=service, handyman=person, starts_at=factories.tomorrow(10))
        if model is Booking:
            return visit
        return Payment.objects.create(
            booking=visit,
            amount_pence=1000,
            currency="gbp",
            session_expires_at=timezone.now(),
            intent_id="pi",
            status="paid",
        )
    now = timezone.now().replace(second=0, microsecond=0)
    if model in (TimeOff, TimeOffRequest):
        return model._default_manager.create(handyman=person, starts_at=now, ends_at=now + timedelta(days=1))
    return {Service: service, Handyman: person}[model]


_MADE: dict[type[models.Model], Any] = {
    OfficeContact: lambda: OfficeContact.objects.create(email="office@example.com"),
    ContactMessage: lambda: ContactMessage.objects.create(name="Robin", email="robin@example.com", body="Hello"),
    Holiday: lambda: Holiday.objects.create(date="2030-01-01", name="New Year"),
    Review: lambda: Review.objects.create(author="Robin", body="Good", date="2026-01-01"),
    Assurance: lambda: Assurance.objects.create(title="Insured", body="We are."),
    Portrait: lambda: Portrait.objects.create(handyman=factories.handyman(), jpeg=b"x"),
    ServiceArea: lambda: ServiceArea.objects.create(prefix="SE", name="South East"),
    WaitlistEntry: lambda: WaitlistEntry.objects.create(service=factories.service(), last_day="2030-01-01"),
}


def other_value(field: "models.Field[Any, Any]", row: models.Model) -> Any:
    """Another valid value for a column."""
    value = getattr(row, field.attname)
    if field.choices:
        return next(key for key, _label in field.flatchoices if key not in (value, Status.HELD, ""))
    if field.name == "deposit_pence":
        return 100
    if isinstance(field, models.ForeignKey):
        made: Any = {Handyman: factories.handyman, Service: factories.service}.get(field.related_model)
        return made().pk if made else User.objects.create_user("colleague", is_staff=True).pk
    if isinstance(field, models.BooleanField):
        return not value
    if isinstance(field, models.DateTimeField):
        return (value or timezone.now()) + timedelta(minutes=1)
    if isinstance(field, models.DateField):
        return (value if not isinstance(value, str) else datetime.fromisoformat(value).date()) + timedelta(days=1)
    if isinstance(field, models.PositiveIntegerField | models.PositiveSmallIntegerField):
        return value + 1 if field.name == "minimum_minutes" or not value else value - 1
    return {"postcode": "SE1 7PB", "prefix": "N", "customer_email": "x@example.com", "email": "x@example.com"}.get(
        field.name, f"{value}x"
    )


@pytest.mark.parametrize("office", ADMINS, ids=lambda each: each.model.__name__)
def test_every_admin_of_the_business_compares(office: Any) -> None:
    assert isinstance(office, OfficeAdmin)


COLUMNS = [
    pytest.param(office, column, id=f"{office.model.__name__}-{column.name}")
    for office in EDITED
    for column in office.model._meta.concrete_fields
    if column.editable and not column.primary_key
]


@pytest.mark.parametrize(("office", "column"), COLUMNS)
def test_no_form_undoes_what_was_changed_after_it_was_opened(office: Any, column: Any, admin_client: Client) -> None:
    """Walks the registry: every column of every admin, changed by somebody else while the form is open."""
    row = make(office.model)
    row.refresh_from_db()
    address = reverse(f"admin:bookings_{office.model._meta.model_name}_change", args=[row.pk])
    form = posted(admin_client.get(address).content)
    theirs = other_value(column, row)
    if office.model is Booking and column.name in ("starts_at", "arrival_until", "ends_at"):  # these hang together
        theirs = getattr(scheduling.move(booking=row, starts_at=factories.tomorrow(14), by=By.CUSTOMER), column.name)
    else:
        office.model._default_manager.filter(pk=row.pk).update(**{column.attname: theirs})
    before = office.model._default_manager.values().get(pk=row.pk)
    answer = admin_client.post(address, form)
    assert answer.status_code == 200
    assert "changed meanwhile" in answer.content.decode().lower()
    assert office.model._default_manager.values().get(pk=row.pk) == before
    again = admin_client.post(address, posted(answer.content))
    assert "changed meanwhile" not in again.content.decode().lower()
    assert office.model._default_manager.values().get(pk=row.pk)[column.attname] == theirs


@pytest.mark.parametrize("office", EDITED, ids=lambda each: each.model.__name__)
def test_a_form_that_nobody_overtook_is_saved_at_once(office: Any, admin_client: Client) -> None:
    row = make(office.model)
    address = reverse(f"admin:bookings_{office.model._meta.model_name}_change", args=[row.pk])
    assert admin_client.post(address, posted(admin_client.get(address).content)).status_code == 302


def actions() -> list[Any]:
    request = RequestFactory().get("/")
    request.user = type("Everybody", (), {"has_perm": lambda *_: True})()
    return [pytest.param(o, name, id=f"{o.model.__name__}-{name}") for o in ADMINS for name in o.get_actions(request)]


@pytest.mark.parametrize(("office", "action"), actions())
def test_no_action_is_done_to_a_row_that_is_not_as_the_list_showed_it(
    office: Any, action: str, admin_client: Client
) -> None:
    row = make(office.model)
    row.refresh_from_db()
    address = reverse(f"admin:bookings_{office.model._meta.model_name}_changelist")
    chosen = listed(admin_client, address) | {"action": [action], ACTION_CHECKBOX_NAME: [str(row.pk)]}
    column = next(each for each in reversed(office.model._meta.concrete_fields) if each.editable)
    office.model._default_manager.filter(pk=row.pk).update(**{column.attname: other_value(column, row)})
    before = office.model._default_manager.values().get(pk=row.pk)
    answer = admin_client.post(address, chosen, follow=True)
    assert "changed meanwhile" in answer.content.decode()
    assert office.model._default_manager.values().get(pk=row.pk) == before
    fresh = listed(admin_client, address) | {"action": [action], ACTION_CHECKBOX_NAME: [str(row.pk)]}
    assert "changed meanwhile" not in admin_client.post(address, fresh, follow=True).content.decode()


def listed(client: Client, address: str) -> Posted:
    return {name: values for name, values in posted(client.get(address).content).items() if name in ("_shown", "index")}


LISTS = [(office, name) for office in ADMINS for name in office.list_editable]


@pytest.mark.parametrize(("office", "name"), LISTS, ids=lambda each: getattr(each, "model", type(each)).__name__)
def test_no_list_undoes_what_was_changed_after_it_was_opened(office: Any, name: str, admin_client: Client) -> None:
    row = make(office.model)
    address = reverse(f"admin:bookings_{office.model._meta.model_name}_changelist")
    form = posted(admin_client.get(address).content) | {"_save": ["Save"]}
    column = office.model._meta.get_field(name)
    theirs = other_value(column, row)
    office.model._default_manager.filter(pk=row.pk).update(**{name: theirs})
    answer = admin_client.post(address, form, follow=True)
    assert "Changed meanwhile" in answer.content.decode()
    row.refresh_from_db()
    assert getattr(row, name) == theirs
    admin_client.post(address, posted(answer.content) | {"_save": ["Save"]}, follow=True)
    row.refresh_from_db()
    assert getattr(row, name) == theirs


def test_it_shows_both_values_and_loses_nothing_that_was_typed(admin_client: Client) -> None:
    visit = make(Booking)
    address = reverse("admin:bookings_booking_change", args=[visit.pk])
    form = posted(admin_client.get(address).content, address="2 My Street", notes="Ring twice")
    target = visit.starts_at + timedelta(hours=3)
    scheduling.move(booking=visit, starts_at=target, by=By.CUSTOMER)
    Booking.objects.update(address="3 Their Street")
    answer = admin_client.post(address, form)
    page = answer.content.decode()
    assert "Changed meanwhile to “3 Their Street”. You chose “2 My Street”" in page
    assert f"{timezone.localtime(target):%H:%M}, which is now filled in" in page
    visit.refresh_from_db()
    assert (visit.starts_at, visit.address, visit.notes) == (target, "3 Their Street", "")
    again = posted(page)
    assert (again["address"], again["notes"]) == (["2 My Street"], ["Ring twice"])
    assert admin_client.post(address, again).status_code == 302
    visit.refresh_from_db()
    assert (visit.starts_at, visit.address, visit.notes) == (target, "2 My Street", "Ring twice")


def test_a_button_beside_save_does_nothing_to_a_visit_that_moved(admin_client: Client) -> None:
    visit = make(Booking)
    address = reverse("admin:bookings_booking_change", args=[visit.pk])
    form = posted(admin_client.get(address).content) | {"cancel": ["1"]}
    scheduling.move(booking=visit, starts_at=visit.starts_at + timedelta(hours=3), by=By.CUSTOMER)
    assert "Changed meanwhile" in admin_client.post(address, form).content.decode()


def test_a_question_is_asked_again_when_what_it_showed_has_changed(admin_client: Client) -> None:
    visit = make(Booking)
    address = reverse("admin:bookings_booking_cancel") + f"?ids={visit.pk}"
    form = posted(admin_client.get(address).content)
    scheduling.move(booking=visit, starts_at=visit.starts_at + timedelta(hours=3), by=By.CUSTOMER)
    answer = admin_client.post(address, form, follow=True)
    visit.refresh_from_db()
    assert visit.status == Status.CONFIRMED
    admin_client.post(address, posted(answer.content))
    visit.refresh_from_db()
    assert visit.status == Status.CANCELLED


def test_a_refund_is_asked_again_when_its_visit_has_changed(admin_client: Client) -> None:
    payment = make(Payment)
    address = reverse("admin:bookings_payment_refund") + f"?ids={payment.pk}"
    form = posted(admin_client.get(address).content)
    scheduling.move(booking=payment.booking, starts_at=payment.booking.starts_at + timedelta(hours=3), by=By.CUSTOMER)
    answer = admin_client.post(address, form, follow=True)
    payment.refresh_from_db()
    assert payment.status == Payment.Status.PAID
    admin_client.post(address, posted(answer.content))
    payment.refresh_from_db()
    assert payment.status == Payment.Status.REFUNDING


def test_erasing_is_asked_again_when_the_customer_has_booked_meanwhile(admin_client: Client) -> None:
    visit = make(Booking)
    address = reverse("admin:bookings_customer") + f"?booking={visit.pk}"
    form = posted(admin_client.get(address).content) | {"do": ["erase"], "cancel": ["on"]}
    factories.booking(
        service=visit.service,
        handyman=visit.handyman,
        starts_at=factories.tomorrow(14),
        customer_email=visit.customer_email,
    )
    assert "something new" in admin_client.post(address, form, follow=True).content.decode()
    visit.refresh_from_db()
    assert visit.erased_at is None


@pytest.mark.parametrize("touched", [True, False])
def test_a_row_that_a_colleague_removed_is_kept_for_who_was_editing_it(admin_client: Client, touched: bool) -> None:
    person = make(Handyman)
    monday, tuesday = person.working_hours.all()[:2]
    address = reverse("admin:bookings_handyman_change", args=[person.pk])
    changes = {"working_hours-0-end": "20:00"} if touched else {}
    form = posted(admin_client.get(address).content, bio="Fast", **changes)
    monday.delete()
    answer = admin_client.post(address, form)
    assert "Rows were removed meanwhile: Monday 08:00 18:00" in answer.content.decode()
    assert admin_client.post(address, posted(answer.content)).status_code == 302
    person.refresh_from_db()
    assert person.bio == "Fast"
    assert person.working_hours.count() == (7 if touched else 6)
    assert person.working_hours.filter(weekday=0, end="20:00").exists() is touched
    assert person.working_hours.filter(pk=tuesday.pk).exists()


def test_a_row_that_a_colleague_changed_is_not_deleted_unseen(admin_client: Client) -> None:
    person = make(Handyman)
    address = reverse("admin:bookings_handyman_change", args=[person.pk])
    form = posted(admin_client.get(address).content, **{"working_hours-0-DELETE": "on"})
    person.working_hours.filter(weekday=0).update(end="12:00")
    answer = admin_client.post(address, form)
    assert "was changed meanwhile. Save again to delete it" in answer.content.decode()
    assert person.working_hours.count() == 7
    admin_client.post(address, posted(answer.content))
    assert person.working_hours.count() == 6
