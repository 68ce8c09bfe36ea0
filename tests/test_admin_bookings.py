"""Bookings in the office: listed, changed, taken on the phone, called off."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import DjangoAssertNumQueries

from bookings import tasks
from bookings.admin.booking import BookingAdmin
from bookings.admin.forms import CUSTOMER_FIELDS
from bookings.messaging import calendar_entry
from bookings.models import Booking, Payment, Status
from tests import factories, forms

pytestmark = pytest.mark.django_db
LIST = "/admin/bookings/booking/"


@pytest.fixture
def office(client: Client) -> Client:
    """Somebody who may see and change bookings, and no more."""
    client.force_login(clerk("view_booking", "add_booking", "change_booking"))
    return client


def clerk(*permissions: str) -> User:
    user = User.objects.create_user(f"clerk-{'-'.join(permissions)}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def visit() -> Booking:
    service = factories.service(name="Tap repair")
    person = factories.handyman(service, name="Amir Shah")
    return factories.booking(service=service, handyman=person, starts_at=factories.tomorrow(10))


@pytest.fixture
def begun(visit: Booking) -> Booking:
    """A visit that began three hours ago."""
    earlier = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    return factories.booking(service=visit.service, handyman=visit.handyman, starts_at=earlier)


def act(office: Client, action: str, *bookings: Booking) -> Any:
    return forms.act(office, LIST, action, *bookings)


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def change(office: Client, booking: Booking, **fields: Any) -> Any:
    return forms.submit(office, reverse("admin:bookings_booking_change", args=[booking.pk]), **fields)


def test_it_completes_bookings_and_writes_their_history(office: Client, begun: Booking) -> None:
    response = act(office, "complete", begun)
    begun.refresh_from_db()
    assert begun.status == Status.COMPLETED
    event = begun.events.get()
    assert (event.kind, event.by, event.user) == ("completed", "staff", User.objects.get())
    assert "1 booking completed." in said(response)
    assert LogEntry.objects.get().change_message == "Completed."


def test_it_says_why_a_booking_was_refused_and_changes_the_others(office: Client, begun: Booking) -> None:
    other = factories.booking(
        service=begun.service, handyman=begun.handyman, starts_at=factories.tomorrow(14), status=Status.CANCELLED
    )
    response = act(office, "complete", begun, other)
    begun.refresh_from_db()
    other.refresh_from_db()
    assert (begun.status, other.status) == (Status.COMPLETED, Status.CANCELLED)
    assert "1 booking completed." in said(response)
    assert "(cancelled)</a> not completed: The booking&#x27;s status does not allow that." in said(response)
    assert not other.events.exists()


def test_it_asks_before_it_cancels_and_tells_the_customer(office: Client, visit: Booking) -> None:
    asked = act(office, "cancel", visit)
    visit.refresh_from_db()
    assert visit.status == Status.CONFIRMED
    assert "1 booking will be cancelled" in asked.content.decode()
    forms.submit(office, asked.redirect_chain[-1][0], note="Handyman ill")
    visit.refresh_from_db()
    assert visit.status == Status.CANCELLED
    assert visit.events.get().note == "Handyman ill"
    assert queued("cancelled", visit) == 1


def queued(kind: str, booking: Booking) -> int:
    """How many e-mails of this kind wait in the outbox for this booking."""
    jobs = ProcrastinateJob.objects.values_list("task_name", "args")
    return sum(args.get("booking_id") == booking.pk and kind in f"{name} {args}" for name, args in jobs)


def test_it_takes_a_booking_on_the_phone_once(office: Client) -> None:
    service = factories.service()
    person = factories.handyman(service)
    page = office.get(LIST + "add/")
    start = timezone.localtime(factories.tomorrow(11))
    data = {
        "job": f"{service.slug}:1",
        "starts_0": f"{start:%Y-%m-%d}",
        "starts_1": f"{start:%H:%M}",
        "who": "",
        "customer_name": "Grace Okafor",
        "customer_email": "grace@example.com",
        "customer_phone": "07700 900123",
        "address": "1 Example Street",
        "postcode": "se15 4ql",
        "consent": "on",
        "key": page.context["form"]["key"].value(),
        "offers": f"{service.pk}:{service.offer}",
    }
    for _ in range(2):
        assert office.post(LIST + "add/", data, follow=True).status_code == 200
    booking = Booking.objects.get()
    assert (booking.handyman, booking.starts_at, booking.postcode) == (person, start, "SE15 4QL")
    assert booking.price_pence == service.price_pence
    assert booking.events.get().by == "staff"

    taken = office.post(LIST + "add/", data | {"key": "another", "customer_name": "Tom Baker", "customer_email": ""})
    assert "That time is taken. Free nearby: " in taken.content.decode()
    assert "Tom Baker" in taken.content.decode(), "what was typed must be kept"
    assert Booking.objects.count() == 1


def test_it_takes_a_booking_of_a_caller_without_e_mail(
    office: Client, visit: Booking, mailoutbox: list[EmailMessage]
) -> None:
    start = timezone.localtime(visit.starts_at) + timedelta(days=7)
    data = {name: getattr(visit, name) for name in CUSTOMER_FIELDS} | {"customer_email": "", "consent": "on"}
    data |= {
        "job": f"{visit.service.slug}:1",
        "starts_0": f"{start:%Y-%m-%d}",
        "starts_1": f"{start:%H:%M}",
        "key": "k",
    }
    data["offers"] = f"{visit.service_id}:{visit.service.offer}"
    office.post(LIST + "add/", data)
    booking = Booking.objects.get(customer_email="")
    tasks.send_booking_email(booking_id=booking.pk, kind="confirmation", sequence=0)
    tasks.send_reminder(booking_id=booking.pk, starts_at=booking.starts_at.isoformat())
    assert mailoutbox == []
    assert b"ATTENDEE" not in calendar_entry.invitation(booking).to_ical()
    assert "A confirmation is on its way" not in office.get(f"{booking.get_absolute_url()}confirmed/").content.decode()


def test_it_moves_a_visit_and_keeps_what_else_was_typed(office: Client, visit: Booking) -> None:
    start = timezone.localtime(visit.starts_at) + timedelta(hours=3)
    change(office, visit, starts_1=f"{start:%H:%M}", notes="Ring twice")
    before = visit.during
    visit.refresh_from_db()
    assert (visit.starts_at, visit.notes) == (start, "Ring twice")
    assert visit.during.lower - before.lower == timedelta(hours=3)
    assert [event.kind for event in visit.events.all()] == ["moved", "corrected"]


def test_it_refuses_to_move_a_visit_onto_another(office: Client, visit: Booking) -> None:
    busy = factories.booking(service=visit.service, handyman=visit.handyman, starts_at=factories.tomorrow(14))
    start = timezone.localtime(busy.starts_at)
    response = change(office, visit, starts_1=f"{start:%H:%M}", notes="Ring twice")
    assert "That time is taken." in response.content.decode()
    assert "Ring twice" in response.content.decode()
    before = visit.starts_at
    visit.refresh_from_db()
    assert (visit.starts_at, visit.notes) == (before, "")


def test_it_never_writes_back_a_status_that_changed_meanwhile(
    office: Client, visit: Booking, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = BookingAdmin.save_model

    def cancelled_meanwhile(self: Any, request: Any, obj: Any, *args: Any) -> None:
        Booking.objects.filter(pk=visit.pk).update(status=Status.CANCELLED)
        write(self, request, obj, *args)

    monkeypatch.setattr(BookingAdmin, "save_model", cancelled_meanwhile)
    change(office, visit, notes="Ring twice")
    visit.refresh_from_db()
    assert (visit.status, visit.notes) == (Status.CANCELLED, "Ring twice")


def test_it_changes_the_price_in_pounds(office: Client, visit: Booking) -> None:
    change(office, visit, price_pence="71.50")
    visit.refresh_from_db()
    assert visit.price_pence == 7150


def test_it_keeps_the_price_above_a_deposit_that_is_paid(office: Client, visit: Booking) -> None:
    ends = timezone.now()
    Payment.objects.create(booking=visit, amount_pence=3000, currency="gbp", status="paid", intent_id="pi_1",
                           session_expires_at=ends)  # fmt: skip
    refused = change(office, visit, price_pence="29.99")
    assert "The deposit of £30 is more than that." in refused.content.decode()
    change(office, visit, price_pence="30")
    visit.refresh_from_db()
    assert visit.price_pence == 3000
    Payment.objects.update(status="refunded", refund_id="re_1")
    change(office, visit, price_pence="20")
    visit.refresh_from_db()
    assert visit.price_pence == 2000


def test_it_saves_and_completes_with_one_button(office: Client, begun: Booking) -> None:
    change(office, begun, notes="Door was stuck", complete="1")
    begun.refresh_from_db()
    assert (begun.status, begun.notes) == (Status.COMPLETED, "Door was stuck")


def test_it_shows_the_history_but_lets_nobody_write_it(office: Client, begun: Booking) -> None:
    act(office, "complete", begun)
    page = office.get(reverse("admin:bookings_booking_change", args=[begun.pk]))
    for table in page.context["inline_admin_formsets"]:
        assert not any((table.has_add_permission, table.has_change_permission, table.has_delete_permission))
    assert "Completed" in page.content.decode()


def test_it_deletes_no_booking(visit: Booking, admin_client: Client) -> None:
    assert admin_client.post(reverse("admin:bookings_booking_delete", args=[visit.pk])).status_code == 403
    assert "delete_selected" not in admin_client.get(LIST).content.decode()


def test_it_lets_readers_read_alone(client: Client, visit: Booking) -> None:
    client.force_login(clerk("view_booking"))
    assert act(client, "complete", visit).status_code == 200
    assert client.post(reverse("admin:bookings_booking_change", args=[visit.pk]), {"notes": "x"}).status_code == 403
    assert client.get(f"{LIST}cancel/?ids={visit.pk}").status_code == 403
    assert client.get(LIST + "add/").status_code == 403
    page = client.get(reverse("admin:bookings_booking_change", args=[visit.pk]))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    visit.refresh_from_db()
    assert (visit.status, visit.notes) == (Status.CONFIRMED, "")


def test_it_exports_nothing_to_who_may_not_see_it(client: Client, visit: Booking) -> None:
    client.force_login(clerk("view_service"))
    for url in (LIST + "export/", LIST + "schedule/", LIST, "/admin/bookings/contactmessage/export/"):
        assert client.get(url).status_code == 403, url


def test_it_exports_cells_that_no_spreadsheet_calculates(office: Client, visit: Booking) -> None:
    hostile = ['=HYPERLINK("http://example.com")', "+44 7700 900123", "-2+3", "@SUM(A1)", "\t=1+1", "Ünal, “x”"]
    visit.customer_name, visit.customer_phone, visit.address, visit.postcode, visit.notes = hostile[:5]
    visit.customer_email = "x@example.com"
    visit.save()
    response = office.get(LIST + "export/?q=example.com")
    assert response["Content-Type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))
    assert row["customer_name"] == "'" + hostile[0]
    assert row["customer_phone"] == "'+44 7700 900123"
    assert (row["address"], row["postcode"]) == ("'-2+3", "'@SUM(A1)")
    assert row["notes"].startswith("'")
    assert (row["service"], row["price"], row["currency"]) == ("Tap repair", "60.00", "GBP")
    assert row["starts_at"] == timezone.localtime(visit.starts_at).strftime("%Y-%m-%d %H:%M")
    nothing = office.get(LIST + "export/?q=nobody").content.decode("utf-8-sig")
    assert nothing.count("\n") == 1, "the export has the list's search"


@pytest.mark.parametrize("found", ["Grace", "SE15", "grace@example.com", "900123", "reference"])
def test_it_finds_bookings_by_what_a_caller_says(office: Client, visit: Booking, found: str) -> None:
    Booking.objects.update(customer_name="Grace Okafor", customer_email="grace@example.com")
    found = visit.reference if found == "reference" else found
    assert list(office.get(LIST, {"q": found}).context["cl"].result_list) == [visit]
    assert not office.get(LIST, {"q": found + "x"}).context["cl"].result_list


@pytest.mark.parametrize("path", ["", "export/", "?when=today", "?when=todo", "?q=Example"])
def test_it_needs_no_more_queries_for_more_bookings(
    office: Client, visit: Booking, django_assert_max_num_queries: DjangoAssertNumQueries, path: str
) -> None:
    busy = factories.handyman(visit.service)
    for hour in range(40):
        start = timezone.now() + timedelta(hours=2 * hour - 30)
        person = busy if hour % 2 else factories.handyman(visit.service)
        factories.booking(service=visit.service, handyman=person, starts_at=start)
    with django_assert_max_num_queries(13):
        assert office.get(LIST + path).status_code == 200


def test_it_is_never_cached_and_has_nothing_inline(office: Client, visit: Booking) -> None:
    change_page = reverse("admin:bookings_booking_change", args=[visit.pk])
    for url in ("/admin/", LIST, LIST + "schedule/", LIST + "add/", change_page, f"{LIST}cancel/?ids={visit.pk}"):
        response = office.get(url)
        assert "no-store" in response["Cache-Control"], url
        body = response.content.decode()
        assert "<style" not in body, url
        assert " style=" not in body, url
        assert " onclick=" not in body, url
        assert "<script>" not in body, url


@pytest.mark.parametrize("query", ["day=tomorrow", "day=9999-12-31", "day=0001-01-01", "handyman=x", "ids=%00"])
def test_it_answers_bad_questions_clearly(office: Client, query: str) -> None:
    assert office.get(f"{LIST}schedule/?{query}").status_code in (200, 400)
    assert office.get(f"{LIST}cancel/?{query}").status_code == 200
    assert office.get(f"{LIST}add/?{query}").status_code == 200
