"""Staff move a visit: by a window as a button, or to a time of their own with what it would break said first."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from bookings import scheduling
from bookings.models import Booking, Handyman, Status
from bookings.scheduling import By
from tests import factories, forms

pytestmark = pytest.mark.django_db


@pytest.fixture
def office(client: Client) -> Client:
    client.force_login(factories.clerk())
    return client


@pytest.fixture
def visit() -> Booking:
    service = factories.service(name="Tap repair")
    person = factories.handyman(service, name="Amir Shah")
    return factories.booking(service=service, handyman=person, starts_at=factories.tomorrow(10))


def page(visit: Booking) -> str:
    return f"/admin/bookings/booking/{visit.pk}/move/"


def button(hour: int, *rest: object) -> str:
    return " ".join([f"{factories.tomorrow(hour):%Y-%m-%dT%H:%M:%SZ}", *map(str, rest)])


def post(office: Client, visit: Booking, **pressed: str) -> Any:
    return office.post(page(visit), forms.posted(office.get(page(visit)).content, **pressed), follow=True)


def test_it_moves_with_two_presses(office: Client, visit: Booking) -> None:
    """Move on the visit, and the window."""
    shown = office.get(f"/admin/bookings/booking/{visit.pk}/change/").content.decode()
    assert f'href="{page(visit)}"' in shown
    answer = office.get(page(visit))
    assert button(13) in re.findall(r'name="take" value="([^"]+)"', answer.content.decode())
    moved = post(office, visit, take=button(13))
    visit.refresh_from_db()
    assert visit.starts_at == factories.tomorrow(13)
    assert (visit.events.get().by, visit.events.get().user) == (By.STAFF, User.objects.get())
    assert "Moved to" in moved.content.decode()
    assert "The customer gets an e-mail." in moved.content.decode()


def test_it_goes_to_nobody_else_when_who_was_chosen_is_gone(office: Client, visit: Booking) -> None:
    leaver = factories.handyman(visit.service, name="Bo Leaver")
    form = forms.posted(office.get(page(visit)).content, take=button(13, leaver.pk))
    Handyman.objects.filter(pk=leaver.pk).update(active=False)
    answer = office.post(page(visit), form)
    assert answer.status_code == 409
    assert "does not work here any more" in answer.content.decode()
    assert Booking.objects.get().starts_at == visit.starts_at


def test_it_is_done_with_two_presses(office: Client, visit: Booking) -> None:
    """The visit, and Done."""
    earlier = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    begun = factories.booking(service=visit.service, handyman=visit.handyman, starts_at=earlier)
    address = f"/admin/bookings/booking/{begun.pk}/change/"
    shown = office.get(address)
    assert '<button class="button" name="complete" value="1">Done</button>' in shown.content.decode()
    office.post(address, forms.posted(shown.content, complete="1"))
    begun.refresh_from_db()
    assert begun.status == Status.COMPLETED
    assert 'name="complete"' not in office.get(f"/admin/bookings/booking/{visit.pk}/change/").content.decode()


def test_enter_in_a_box_saves_and_does_no_more(office: Client, visit: Booking) -> None:
    """A form's first button is what Enter presses."""
    shown = office.get(f"/admin/bookings/booking/{visit.pk}/change/").content.decode()
    form = shown[shown.index('id="booking_form"') :]
    assert re.findall(r'<(?:button|input type="submit")[^>]* name="(\w+)"', form)[0] == "_save"
    moving = office.get(page(visit)).content.decode()
    assert 'name="show" value=""' in re.findall("<button[^>]*>", moving[moving.index('class="by-phone') :])[0]


def test_it_goes_to_a_colleague(office: Client, visit: Booking) -> None:
    beth = factories.handyman(visit.service, name="Beth Cole")
    shown = office.post(page(visit), forms.posted(office.get(page(visit)).content, show=f"who:{beth.pk}"))
    assert (shown.context["handyman"], shown.context["windows"].handymen) == (beth, [visit.handyman, beth])
    office.post(page(visit), forms.posted(shown.content, take=button(12)))
    visit.refresh_from_db()
    assert (visit.handyman, visit.starts_at) == (beth, factories.tomorrow(12))


def test_it_says_what_would_break_and_moves_out_of_hours_after_that(office: Client, visit: Booking) -> None:
    evening = timezone.localtime(factories.tomorrow(20))
    boxes = {"starts_0": f"{evening:%Y-%m-%d}", "starts_1": "21:05"}
    asked = post(office, visit, ask="1", **boxes).content.decode()
    assert f"Amir Shah works 08:00 to 18:00 on {evening:%A}s." in asked
    (all_the_same,) = re.findall(r'name="take" class="button warned" value="([^"]+)"', asked)
    refused = post(office, visit, take=all_the_same.removesuffix(" overtime"))
    assert refused.status_code == 409
    assert "Not moved." in refused.content.decode()
    post(office, visit, take=all_the_same)
    visit.refresh_from_db()
    assert timezone.localtime(visit.starts_at).strftime("%H:%M") == "21:05"
    assert visit.overtime


def test_a_customer_who_was_faster_is_not_overrun(office: Client, visit: Booking) -> None:
    """The version is in the form: what staff chose is kept, and what the customer chose is shown."""
    form = forms.posted(office.get(page(visit)).content, take=button(13))
    scheduling.move(booking=visit, starts_at=factories.tomorrow(15), by=By.CUSTOMER)
    answer = office.post(page(visit), form)
    visit.refresh_from_db()
    assert (answer.status_code, visit.starts_at) == (409, factories.tomorrow(15))
    told = answer.content.decode()
    assert "changed meanwhile" in told
    assert f"Now {timezone.localtime(visit.starts_at):%A}" in told
    assert answer.context["starts_at"] == factories.tomorrow(13)
    assert f'value="{button(13, visit.handyman_id)}"' in told, "what was chosen can be pressed again"
    office.post(page(visit), forms.posted(answer.content, take=button(13, visit.handyman_id)))
    visit.refresh_from_db()
    assert visit.starts_at == factories.tomorrow(13)


def test_it_never_moves_what_was_called_off(office: Client, visit: Booking) -> None:
    form = forms.posted(office.get(page(visit)).content, take=button(13))
    scheduling.cancel(booking=visit, by=By.CUSTOMER)
    answer = office.post(page(visit), form)
    assert answer.status_code == 409
    assert "is not moved" in answer.content.decode()
    visit.refresh_from_db()
    assert visit.status == Status.CANCELLED


def test_the_schedule_asks_what_a_time_would_break(office: Client, visit: Booking) -> None:
    ask = f"{page(visit)}ask/"
    there = factories.booking(service=visit.service, handyman=visit.handyman, starts_at=factories.tomorrow(14))
    free = office.get(ask, {"take": button(12, visit.handyman_id)}).json()
    assert free == {"free": True, "overtime": False, "says": "Amir Shah can come."}
    taken = office.get(ask, {"take": button(14, visit.handyman_id)}).json()
    assert (taken["free"], taken["overtime"]) == (False, False)
    assert f"at {there.postcode} until" in taken["says"]
    unskilled = factories.handyman(name="Carl")
    assert office.get(ask, {"take": button(12, unskilled.pk)}).json()["says"] == "Carl does not do Tap repair."
    assert office.get(ask, {"take": "x"}).status_code == 400


@pytest.mark.parametrize(
    "junk", [{"take": "x"}, {"show": "first:x"}, {"starts_0": "x"}, {"who": "9" * 30}, {"take": "\x00"}]
)
def test_it_answers_anything(office: Client, visit: Booking, junk: dict[str, str]) -> None:
    assert office.post(page(visit), junk).status_code in (200, 409)
    assert office.get(page(visit), junk).status_code == 200


def test_only_who_may_change_visits_moves_them(client: Client, visit: Booking) -> None:
    Handyman.objects.update(user=(user := User.objects.create_user("amir", is_staff=True)))
    user.groups.add(Group.objects.get(name="Handymen"))
    client.force_login(user)
    for path in ("", "ask/"):
        assert client.get(page(visit) + path).status_code == 403
    assert client.post(page(visit), {"take": button(13)}).status_code == 403
    assert client.post(f"/admin/bookings/booking/{visit.pk}/done/").status_code == 403
