"""A service that no handyman can be booked for: customers read the truth, and staff are warned of it."""

from datetime import time
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from bookings.models import Handyman, Service, WorkingHours
from tests import factories

pytestmark = pytest.mark.django_db
TRUTH = "cannot be booked online at the moment"


@pytest.fixture
def service() -> Service:
    return factories.service(name="Roof repair", slug="roof-repair", duration_minutes=240)


def text(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def pages(client: Client) -> list[str]:
    start = factories.tomorrow(9, days=5)
    return [
        text(client, "/services/roof-repair/"),
        text(client, "/book/roof-repair/"),
        text(client, f"/book/roof-repair/details/?start={start:%Y-%m-%dT%H:%M:%SZ}"),
    ]


@pytest.mark.parametrize("why", ["no skill", "inactive", "no hours", "short hours"])
def test_customers_read_that_it_cannot_be_booked_online(client: Client, service: Service, why: str) -> None:
    person = factories.handyman(service, end=time(11) if why == "short hours" else time(18))
    if why == "no skill":
        person.skills.clear()
    elif why == "inactive":
        Handyman.objects.update(active=False)
    elif why == "no hours":
        WorkingHours.objects.all().delete()
    for page in pages(client):
        assert f"Roof repair {TRUTH}" in page
        assert "booked out" not in page
        assert "as far ahead as our diary goes" not in page
        assert "020 7946 0123" in page
    assert "See free times" not in text(client, "/services/roof-repair/")


def test_booked_out_is_said_of_what_is_booked_out(client: Client, service: Service) -> None:
    person = factories.handyman(service)
    start = factories.tomorrow(0, days=-1)
    person.time_off.create(starts_at=start, ends_at=factories.tomorrow(0, days=90))
    assert "booked out" in text(client, "/book/roof-repair/")
    assert all(TRUTH not in page for page in pages(client))


def test_a_handyman_without_hours_is_not_called_booked_out(client: Client, service: Service) -> None:
    factories.handyman(service)
    new = factories.handyman(service, name="New Person", days=[])
    page = text(client, f"/book/roof-repair/?handyman={new.slug}")
    assert "New Person takes no online bookings for this job" in page
    assert "See who else is free" in page


def test_staff_are_warned_on_the_first_page_on_the_list_and_when_they_cause_it(
    admin_client: Client, service: Service
) -> None:
    fine = factories.service(name="Shelves")
    factories.handyman(fine)
    assert "that no handyman can be booked for" in text(admin_client, "/admin/")
    listed = text(admin_client, "/admin/bookings/service/")
    assert "Customers cannot book" in listed
    assert f"/admin/bookings/service/{service.pk}/change/" in listed.partition("Customers cannot book")[2][:200]
    Service.objects.filter(pk=service.pk).update(active=False)
    assert "that no handyman can be booked for" not in text(admin_client, "/admin/")
    assert "Customers cannot book" not in text(admin_client, "/admin/bookings/service/")


def test_the_system_check_names_it(service: Service) -> None:
    errors = StringIO()
    call_command("check", databases=["default"], stderr=errors)
    assert "Nobody can be booked for 'Roof repair'" in errors.getvalue()
