"""Quotes on the admin's first page, and the way from a visit to its quote and back."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from bookings.admin import panels
from bookings.admin.desk import Desk
from bookings.models import Booking, ContactMessage, Handyman, Quote, Service, Status
from tests import factories

pytestmark = pytest.mark.django_db
NOON = timezone.make_aware(datetime(2031, 6, 4, 12))
"""A Wednesday."""
FAR, SOON, OVER = date(2031, 6, 20), date(2031, 6, 6), date(2031, 6, 3)
FOLDER = "/admin/bookings/contactmessage/?folder=quoted"
ACCEPTED = "/admin/bookings/contactmessage/?folder=accepted"


@pytest.fixture
def service() -> Service:
    return factories.service(name="Fence")


@pytest.fixture
def dev(service: Service) -> Handyman:
    return factories.handyman(service)


@pytest.fixture
def office() -> Client:
    client = Client()
    client.force_login(factories.clerk())
    return client


def quoted(service: Service, name: str, **fields: Any) -> Quote:
    asked = ContactMessage.objects.create(name=name, email="a@example.com", phone="07700 900200", body="A fence?")
    return factories.quote(asked, service, **fields)


def visit(dev: Handyman, days: int, **fields: Any) -> Booking:
    (service,) = dev.skills.all()
    return factories.booking(service=service, handyman=dev, starts_at=NOON + timedelta(days=days), **fields)


def reader(*permissions: str) -> User:
    made = User.objects.create_user("reader", is_staff=True)
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return made


def panel(user: User) -> panels.Panel | None:
    return panels.quoted(Desk(user, NOON))


def page(quote: Quote) -> str:
    return f"/admin/bookings/contactmessage/{quote.message_id}/change/"


def test_it_lists_quotes_under_way_with_the_next_step_of_each(service: Service, dev: Handyman) -> None:
    booked = visit(dev, 2)
    made = {
        "Booked": quoted(service, "Booked", valid_until=SOON, accepted_at=NOON, booking=booked),
        "Waiting": quoted(service, "Waiting", valid_until=FAR),
        "Running Out": quoted(service, "Running Out", valid_until=SOON),
        "Accepted": quoted(service, "Accepted", valid_until=OVER, accepted_at=NOON),
        "Off Again": quoted(
            service, "Off Again", valid_until=FAR, accepted_at=NOON, booking=visit(dev, 3, status="cancelled")
        ),
    }
    quoted(service, "Expired", valid_until=OVER)
    quoted(service, "Withdrawn", valid_until=FAR, withdrawn_at=NOON)
    quoted(service, "Done", valid_until=FAR, accepted_at=NOON, booking=visit(dev, -2, status=Status.COMPLETED))
    found = panel(factories.clerk())
    assert found is not None
    ring = ("Ring 07700 900200", "tel:+44-7700-900200")
    assert [(line.what, line.more, (line.step, line.step_link)) for line in found.lines] == [
        ("£140: Accepted", "accepted Wed 04 Jun, no time yet", ring),
        ("£140: Off Again", "accepted Wed 04 Jun, no time yet", ring),
        ("£140: Running Out", "runs out on Fri 06 Jun", ring),
        (
            "£140: Waiting",
            "waits for an answer until Fri 20 Jun",
            ("Write", f"{page(made['Waiting'])}#id_answer"),
        ),
        (
            "£140: Booked",
            "booked for Fri 06 Jun 12:00",
            ("See the visit", f"/admin/bookings/booking/{booked.pk}/change/"),
        ),
    ]
    assert [line.link for line in found.lines] == [
        f"{page(made[line.what.removeprefix('£140: ')])}#quote-{made[line.what.removeprefix('£140: ')].pk}"
        for line in found.lines
    ]
    assert found.count == 5


def test_a_hold_that_has_run_out_is_no_visit(service: Service, dev: Handyman, office: Client) -> None:
    held = visit(dev, 2, status=Status.HELD, hold_expires_at=NOON + timedelta(minutes=5))
    clerk = User.objects.get(username="clerk")
    quote = quoted(service, "Held", valid_until=FAR, accepted_at=NOON, booking=held)
    found = panel(clerk)
    assert found is not None
    assert found.lines[0].step == "See the visit"
    assert "Held" not in office.get(ACCEPTED).content.decode()
    Booking.objects.update(hold_expires_at=timezone.now() - timedelta(minutes=1))
    quote.refresh_from_db()
    assert quote.state == Quote.State.ACCEPTED
    found = panel(clerk)
    assert found is not None
    assert found.lines[0].more.endswith("no time yet")
    assert "Held" in office.get(ACCEPTED).content.decode(), "the inbox says the same as the quote"


def test_its_heading_leads_to_all_of_them(service: Service, office: Client) -> None:
    soon = timezone.localdate() + timedelta(days=9)
    for number in range(8):
        quoted(service, f"Number {number}", valid_until=soon)
    quoted(service, "Gone", withdrawn_at=timezone.now(), valid_until=soon)
    today = office.get("/admin/").content.decode()
    assert f'href="{FOLDER}"><b>8</b> Quotes under way' in today
    listed = office.get(FOLDER).content.decode()
    assert all(f"Number {number}" in listed for number in range(8))
    assert "Gone" not in listed


@pytest.mark.parametrize(
    ("permissions", "steps"),
    [
        ((), None),
        (("view_booking",), None),
        (("view_contactmessage",), ["Read", ""]),
        (("change_contactmessage",), ["Write", ""]),
        (("view_contactmessage", "view_own_booking"), ["Read", ""]),
        (("view_contactmessage", "view_booking"), ["Read", "See the visit"]),
    ],
)
def test_it_leads_only_where_its_reader_may_go(
    service: Service, dev: Handyman, permissions: tuple[str, ...], steps: list[str] | None
) -> None:
    quoted(service, "Waiting", valid_until=FAR)
    quoted(service, "Booked", valid_until=FAR, accepted_at=NOON, booking=visit(dev, 2))
    found = panel(reader(*permissions))
    assert (None if found is None else [line.step for line in found.lines]) == steps


def test_the_visit_leads_to_its_quote_and_the_quote_to_its_visit(
    service: Service, dev: Handyman, office: Client, client: Client
) -> None:
    booked = visit(dev, 2)
    quote = quoted(service, "Robin", valid_until=FAR, accepted_at=NOON, booking=booked)
    of_visit, of_message = f"/admin/bookings/booking/{booked.pk}/change/", page(quote)
    assert f'href="{of_message}#quote-{quote.pk}"' in office.get(of_visit).content.decode()
    shown = office.get(of_message).content.decode()
    assert f'id="quote-{quote.pk}"' in shown
    assert f'href="{of_visit}"' in shown
    Booking.objects.update(status=Status.CANCELLED)
    shown = office.get(of_message).content.decode()
    assert "Accepted, no time chosen yet, as this visit is off:" in shown
    assert f'href="{of_visit}"' in shown
    client.force_login(reader("view_booking"))
    assert "#quote-" not in client.get(of_visit).content.decode(), "who may not read messages"
    without = visit(dev, 4)
    assert "#quote-" not in office.get(f"/admin/bookings/booking/{without.pk}/change/").content.decode()
