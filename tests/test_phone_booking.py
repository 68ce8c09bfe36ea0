"""Booking by phone: who rings is found and filled in, and a free window is a button."""

import re
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from bookings import scheduling
from bookings.models import Booking, ContactMessage, Handyman, Service, Status
from bookings.scheduling import By
from tests import factories, forms

pytestmark = pytest.mark.django_db
FIND, ADD = "/admin/bookings/booking/find/", "/admin/bookings/booking/add/"


@pytest.fixture
def office(client: Client) -> Client:
    client.force_login(factories.clerk())
    return client


@pytest.fixture
def service() -> Service:
    return factories.service(name="Tap repair")


@pytest.fixture
def amir(service: Service) -> Handyman:
    return factories.handyman(service, name="Amir Shah")


@pytest.fixture
def earlier(service: Service, amir: Handyman) -> Booking:
    return factories.booking(
        service=service, handyman=amir, starts_at=timezone.now() - timedelta(days=30), status=Status.COMPLETED,
        customer_name="Zoë Łukasz", customer_phone="07700 900123", postcode="SE1 7PB",
    )  # fmt: skip


def local(moment: datetime) -> datetime:
    return timezone.localtime(moment)


@pytest.mark.parametrize(
    "typed", ["07700900123", "+44 7700 900 123", "zoe lukasz", "se17pb", "LUKASZ se1", "reference"]
)
def test_it_finds_who_rings_in_any_spelling_and_fills_in(office: Client, earlier: Booking, typed: str) -> None:
    answer = office.get(FIND, {"q": earlier.reference.lower() if typed == "reference" else typed}, follow=True)
    assert answer.redirect_chain == [(f"{ADD}?like={earlier.pk}", 302)]
    filled = forms.posted(answer.content)
    assert {name: filled[name] for name in ("customer_name", "customer_phone", "postcode")} == {
        "customer_name": ["Zoë Łukasz"],
        "customer_phone": ["07700 900123"],
        "postcode": ["SE1 7PB"],
    }
    assert "Tap repair, Amir Shah (completed)" in answer.content.decode()


def test_it_asks_who_it_is_where_several_could_be_meant(office: Client, earlier: Booking) -> None:
    message = ContactMessage.objects.create(name="Zoë Brown", email="z@example.com", body="Hello")
    page = office.get(FIND, {"q": "zoe"}).content.decode()
    assert f"{ADD}?like={earlier.pk}" in page
    assert f"{ADD}?message={message.pk}" in page
    filled = forms.posted(office.get(f"{ADD}?message={message.pk}").content)
    assert (filled["customer_name"], filled["customer_email"]) == (["Zoë Brown"], ["z@example.com"])


@pytest.mark.parametrize(
    ("typed", "field"),
    [("020 7946 0123", "customer_phone"), ("se15 4ql", "postcode"), ("Ann Other", "customer_name")],
)
def test_it_begins_with_what_was_typed_for_somebody_new(office: Client, typed: str, field: str) -> None:
    filled = forms.posted(office.get(FIND, {"q": typed}, follow=True).content)
    assert filled[field][0].lower() == typed.lower()


@pytest.mark.parametrize("typed", ["", "x" * 101, "%00\x00", "'"])
def test_it_answers_any_search(office: Client, typed: str) -> None:
    assert office.get(FIND, {"q": typed}, follow=True).status_code in (200, 400)


def test_it_books_with_four_presses_and_no_typed_time(office: Client, earlier: Booking, amir: Handyman) -> None:
    """Find, the job, the tick, the window."""
    presses = 1
    page = office.get(FIND, {"q": "07700 900123"}, follow=True)
    presses += 1
    page = office.post(ADD, forms.posted(page.content, show=f"job:{earlier.service.slug}:1"))
    windows = re.findall(r'name="take" value="([^"]+)"', page.content.decode())
    presses += 1  # the tick
    presses += 1
    page = office.post(ADD, forms.posted(page.content, consent="on", take=windows[0]), follow=True)
    made = Booking.objects.get(status=Status.CONFIRMED)
    assert (made.customer_name, made.postcode, made.handyman) == ("Zoë Łukasz", "SE1 7PB", amir)
    assert f"{made.starts_at:%Y-%m-%dT%H:%M:%SZ}" == windows[0]
    assert "Zoë Łukasz was added" in page.content.decode()
    assert made.events.get().by == By.STAFF
    assert presses <= 4


def test_it_keeps_what_was_typed_while_windows_are_looked_at(office: Client, service: Service, amir: Handyman) -> None:
    beth = factories.handyman(service, name="Beth Cole")
    factories.booking(service=service, handyman=amir, starts_at=factories.tomorrow(9))
    page = forms.posted(office.get(ADD).content, customer_name="Ann Other", consent="on", show=f"job:{service.slug}:1")
    answer = office.post(ADD, page)
    key = forms.posted(answer.content)["key"]
    answer = office.post(ADD, forms.posted(answer.content, show=f"who:{amir.pk}"))
    kept = forms.posted(answer.content)
    assert (kept["customer_name"], kept["consent"], kept["key"]) == (["Ann Other"], ["on"], key)
    assert answer.context["handyman"] == amir
    assert answer.context["windows"].handymen == [amir, beth]
    offered = {slot.starts_at for day in answer.context["windows"].days for slot in day.slots}
    assert factories.tomorrow(9) not in offered
    assert factories.tomorrow(12) in offered
    following = answer.context["windows"].following
    answer = office.post(ADD, forms.posted(answer.content, show=f"first:{following}"))
    assert answer.context["windows"].days[0].date == following
    assert not Booking.objects.filter(customer_name="Ann Other").exists()


def test_it_says_all_that_is_wrong_and_books_nothing(office: Client, service: Service, amir: Handyman) -> None:
    page = office.post(ADD, forms.posted(office.get(ADD).content, show=f"job:{service.slug}:1"))
    window = f"{factories.tomorrow(9):%Y-%m-%dT%H:%M:%SZ}"
    answer = office.post(ADD, forms.posted(page.content, customer_name="Ann", take=window))
    assert {"customer_phone", "address", "consent"} <= set(answer.context["form"].errors)
    assert forms.posted(answer.content)["customer_name"] == ["Ann"]
    assert not Booking.objects.exists()


def filled(office: Client, like: Booking) -> Any:
    page = office.post(
        ADD, forms.posted(office.get(f"{ADD}?like={like.pk}").content, show=f"job:{like.service.slug}:1")
    )
    return lambda **changed: forms.posted(page.content, consent="on", **changed)


def test_it_books_out_of_hours_after_a_warning_alone(office: Client, earlier: Booking, amir: Handyman) -> None:
    page, evening = filled(office, earlier), local(factories.tomorrow(19))
    moment = {"starts_0": f"{evening:%Y-%m-%d}", "starts_1": "20:20"}
    asked = office.post(ADD, page(ask="1", **moment)).content.decode()
    assert f"Amir Shah works 08:00 to 18:00 on {evening:%A}s." in asked
    assert "out of hours, if Amir Shah agrees" in asked
    (all_the_same,) = re.findall(r'name="take" class="button warned" value="([^"]+)"', asked)
    refused = office.post(ADD, page(take=all_the_same.removesuffix(" overtime")))
    assert "starts" in refused.context["form"].errors
    office.post(ADD, page(take=all_the_same))
    made = Booking.objects.get(status=Status.CONFIRMED)
    assert local(made.starts_at).time() == time(20, 20)
    assert made.overtime


def test_overtime_is_no_way_around_a_visit_or_time_off(service: Service, amir: Handyman) -> None:
    there = factories.booking(service=service, handyman=amir, starts_at=factories.tomorrow(20))
    asked: dict[str, Any] = {
        "service": service,
        "customer": factories.customer(),
        "handyman": amir,
        "by": By.STAFF,
        "overtime": True,
    }
    with pytest.raises(scheduling.SlotTaken):
        scheduling.book(starts_at=there.starts_at, idempotency_key="a", **asked)
    amir.time_off.create(starts_at=factories.tomorrow(0, days=3), ends_at=factories.tomorrow(0, days=4))
    with pytest.raises(scheduling.SlotUnavailable):
        scheduling.book(starts_at=factories.tomorrow(20, days=3), idempotency_key="b", **asked)
    made = scheduling.book(starts_at=factories.tomorrow(22), idempotency_key="c", **asked)
    moved = scheduling.move(booking=made, starts_at=factories.tomorrow(9), by=By.STAFF)
    assert (made.overtime, moved.overtime) == (True, False)


def test_it_says_why_not_by_the_visit_in_the_way(office: Client, earlier: Booking, amir: Handyman) -> None:
    there = factories.booking(
        service=earlier.service, handyman=amir, starts_at=factories.tomorrow(12), postcode="NW11 7ES"
    )
    start, end = local(there.starts_at), local(there.ends_at)
    moment = {"starts_0": f"{start:%Y-%m-%d}", "starts_1": f"{start:%H:%M}"}
    asked = office.post(ADD, filled(office, earlier)(ask="1", **moment)).content.decode()
    assert f"Amir Shah is at NW11 7ES until {end:%H:%M} (Tap repair)" in asked
    assert "Possible at" in asked


def test_it_reads_a_page_in_few_queries(
    office: Client, earlier: Booking, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(8):
        person = factories.handyman(earlier.service)
        factories.booking(service=earlier.service, handyman=person, starts_at=factories.tomorrow(10))
    start = local(factories.tomorrow(10))
    page = filled(office, earlier)(ask="1", starts_0=f"{start:%Y-%m-%d}", starts_1=f"{start:%H:%M}")
    with django_assert_max_num_queries(22):
        assert office.post(ADD, page).status_code == 200


@pytest.mark.parametrize("query", ["like=%00", "like=9999999999999999999", "message=x", "day=0001-01-01", "who=x",
                                   "job=99999999999999999999999:x", "new=%00"])  # fmt: skip
def test_it_answers_any_address(office: Client, query: str) -> None:
    assert office.get(f"{ADD}?{query}").status_code == 200


@pytest.mark.parametrize("junk", [
    {"show": "who:x"}, {"show": "first:9999-12-31"}, {"show": "nothing"}, {"take": "x y z"}, {"job": "\x00:x"},
    {"ask": "1", "starts_0": "x"}, {"show": "job:nothing"},
])  # fmt: skip
def test_it_answers_any_post(office: Client, earlier: Booking, junk: dict[str, str]) -> None:
    assert office.post(ADD, {"job": f"{earlier.service.slug}:1"} | junk).status_code == 200
    assert Booking.objects.count() == 1


def test_it_books_several_jobs_in_one_visit(office: Client, earlier: Booking, amir: Handyman) -> None:
    shelves = factories.service(name="Shelves")
    amir.skills.add(shelves)
    factories.handyman(earlier.service, name="Beth Cole")
    page = office.get(f"{ADD}?like={earlier.pk}")
    for press in (f"job:{earlier.service.slug}:1", f"job:{shelves.slug}:1", f"job:{shelves.slug}:2"):
        page = office.post(ADD, forms.posted(page.content, show=press))
    assert page.context["basket"].content == [(earlier.service_id, 1), (shelves.pk, 2)]
    assert page.context["windows"].handymen == [amir], "who does all of it"
    window = f"{factories.tomorrow(9):%Y-%m-%dT%H:%M:%SZ}"
    office.post(ADD, forms.posted(page.content, consent="on", take=window))
    made = Booking.objects.get(status=Status.CONFIRMED)
    assert made.content == [(earlier.service_id, 1), (shelves.pk, 2)]
    assert made.duration == timedelta(hours=3)
    page = office.post(ADD, forms.posted(page.content, show=f"job:{shelves.slug}:0"))
    assert page.context["basket"].content == [(earlier.service_id, 1)]


def test_what_is_wrong_is_named_with_its_field(office: Client, service: Service, amir: Handyman) -> None:
    leaver = factories.handyman(service, name="Bo Leaver")
    address = f"{ADD}?job={service.slug}:1&who={leaver.pk}"
    form = forms.posted(office.get(address).content, customer_name="")
    Handyman.objects.filter(pk=leaver.pk).update(active=False)
    taken = {"take": [f"{factories.tomorrow(10, days=5):%Y-%m-%dT%H:%M:%SZ} {leaver.pk}"]}
    page = office.post(ADD, form | taken).content.decode()
    assert "<li>Name: This field is required.</li>" in page
    assert "<li>Handyman: The handyman that was chosen does not work here any more. Choose again.</li>" in page
    assert not Booking.objects.exists()
