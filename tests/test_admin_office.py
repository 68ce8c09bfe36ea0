"""People and their time, the catalogue and the inbox, as staff keep them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from bookings.models import Booking, ContactMessage, Handyman, Holiday, Service, TimeOff
from tests import factories, forms

pytestmark = pytest.mark.django_db
INBOX = "/admin/bookings/contactmessage/"


@pytest.fixture
def visit() -> Booking:
    service = factories.service(name="Tap repair")
    person = factories.handyman(service, name="Amir Shah", days=range(2))
    return factories.booking(service=service, handyman=person, starts_at=factories.tomorrow(10))


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def time_off_data(booking: Booking) -> dict[str, Any]:
    start, end = (timezone.localtime(at) for at in (booking.starts_at, booking.ends_at))
    return {
        "time_off-TOTAL_FORMS": 1,
        "time_off-0-handyman": booking.handyman_id,
        "time_off-0-starts_at_0": f"{start:%Y-%m-%d}",
        "time_off-0-starts_at_1": f"{start:%H:%M}",
        "time_off-0-ends_at_0": f"{end:%Y-%m-%d}",
        "time_off-0-ends_at_1": f"{end:%H:%M}",
        "time_off-0-reason": "Dentist",
    }


def save(client: Client, person: Handyman, **fields: Any) -> Any:
    return forms.submit(client, f"/admin/bookings/handyman/{person.pk}/change/", **fields)


def test_it_saves_time_off_over_bookings_and_lists_them(admin_client: Client, visit: Booking) -> None:
    response = save(admin_client, visit.handyman, **time_off_data(visit))
    assert TimeOff.objects.get().reason == "Dentist"
    assert "there are bookings in that time off" in said(response)
    assert f"/admin/bookings/booking/{visit.pk}/change/" in said(response)
    assert visit.customer_phone in said(response)


def test_it_warns_of_nothing_when_nothing_clashes(admin_client: Client, visit: Booking) -> None:
    factories.booking(service=visit.service, handyman=factories.handyman(), starts_at=factories.tomorrow(10))
    Booking.objects.filter(pk=visit.pk).update(status="cancelled")
    response = save(admin_client, visit.handyman, **time_off_data(visit))
    assert TimeOff.objects.count() == 1
    assert "must be moved" not in said(response)


def test_it_escapes_what_customers_typed_into_warnings(admin_client: Client, visit: Booking) -> None:
    Booking.objects.update(customer_name="<script>alert(1)</script>")
    assert "<script>" not in said(save(admin_client, visit.handyman, **time_off_data(visit)))


def test_it_warns_when_a_handyman_leaves_whom_customers_expect(admin_client: Client, visit: Booking) -> None:
    response = save(admin_client, visit.handyman, active="")
    assert "customers still expect Amir Shah" in said(response)
    assert not Handyman.objects.get().active


def test_it_changes_working_hours_beside_the_handyman(admin_client: Client, visit: Booking) -> None:
    save(admin_client, visit.handyman, **{"working_hours-0-end": "16:00"})
    assert str(visit.handyman.working_hours.get(weekday=0).end) == "16:00:00"
    refused = save(admin_client, visit.handyman, **{"working_hours-0-end": "07:00"})
    assert "Work must end after it starts." in refused.content.decode()


def test_it_lists_the_visits_that_fall_outside_new_working_hours(admin_client: Client) -> None:
    service = factories.service()
    person = factories.handyman(service)
    inside, outside = (
        factories.booking(service=service, handyman=person, starts_at=factories.tomorrow(hour)) for hour in (9, 16)
    )
    weekday = timezone.localdate(outside.starts_at).weekday()
    assert "outside these hours" not in said(save(admin_client, person, **{f"working_hours-{weekday}-start": "08:30"}))
    response = save(admin_client, person, **{f"working_hours-{weekday}-end": "13:00"})
    assert "has visits outside these hours" in said(response)
    assert f"/admin/bookings/booking/{outside.pk}/change/" in said(response)
    assert f"/admin/bookings/booking/{inside.pk}/change/" not in said(response)


def test_it_lists_bookings_on_a_new_holiday(admin_client: Client, visit: Booking) -> None:
    day = timezone.localdate(visit.starts_at)
    response = admin_client.post("/admin/bookings/holiday/add/", {"date": day, "name": "Founders"}, follow=True)
    assert Holiday.objects.count() == 1
    assert "there are bookings on that day" in said(response)


def test_it_keeps_prices_in_pence_and_shows_pounds(admin_client: Client) -> None:
    service = factories.service(price_pence=6550)
    url = f"/admin/bookings/service/{service.pk}/change/"
    form = admin_client.get(url).context["adminform"].form
    assert 'value="65.5"' in str(form["price_pence"]) or 'value="65.50"' in str(form["price_pence"])
    forms.submit(admin_client, url, price_pence="70.05")
    assert Service.objects.get().price_pence == 7005
    refused = forms.submit(admin_client, url, price_pence="0")
    assert "A fixed or hourly price needs an amount." in refused.content.decode()


@pytest.fixture
def messages() -> list[ContactMessage]:
    kinds: list[dict[str, Any]] = [{}, {"handled_at": timezone.now()}, {"suspected_spam": True}]
    return [
        ContactMessage.objects.create(name=f"Writer {index}", email="w@example.com", body="Hello there", **kind)
        for index, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(("folder", "expected"), [("", [0]), ("handled", [1]), ("spam", [2]), ("all", [0, 1, 2])])
def test_it_sorts_messages_into_folders(
    admin_client: Client, messages: list[ContactMessage], folder: str, expected: list[int]
) -> None:
    listed = admin_client.get(INBOX, {"folder": folder} if folder else {}).context["cl"].result_list
    assert set(listed) == {messages[index] for index in expected}


def test_it_marks_messages_handled_and_says_by_whom(admin_client: Client, messages: list[ContactMessage]) -> None:
    response = forms.act(admin_client, INBOX, "mark_handled", messages[0])
    messages[0].refresh_from_db()
    assert messages[0].handled_at is not None
    assert str(messages[0].handled_by) == "admin"
    assert "1 message handled." in said(response)
    assert admin_client.get(INBOX).context["cl"].result_count == 0


def test_it_answers_for_one_message_on_its_own_page(admin_client: Client, messages: list[ContactMessage]) -> None:
    spam = messages[2]
    url = f"{INBOX}{spam.pk}/change/"
    page = admin_client.get(url).content.decode()
    assert 'name="not_spam"' in page
    assert 'name="_save"' not in page
    forms.submit(admin_client, url, not_spam="1")
    spam.refresh_from_db()
    assert not spam.suspected_spam
    assert admin_client.post(INBOX + "add/").status_code == 403


def test_it_needs_no_more_queries_for_more_people(
    admin_client: Client, visit: Booking, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(10):
        factories.handyman(visit.service)
    with django_assert_max_num_queries(7):
        assert admin_client.get("/admin/bookings/handyman/").status_code == 200
    with django_assert_max_num_queries(12):
        assert admin_client.get(f"/admin/bookings/handyman/{visit.handyman.pk}/change/").status_code == 200


def test_it_links_no_phone_where_none_was_given(admin_client: Client) -> None:
    for phone, link in (("", 'href="tel:'), ("020 7946 0123", 'href="tel:')):
        message = ContactMessage.objects.create(name="A", email="a@example.com", body="Hello", phone=phone)
        page = admin_client.get(f"/admin/bookings/contactmessage/{message.pk}/change/").content.decode()
        assert (link in page) == bool(phone)


def test_it_names_a_message_by_the_day_on_the_business_s_clock() -> None:
    just_past_midnight = datetime(2031, 6, 30, 23, 30, tzinfo=UTC)
    assert str(ContactMessage(topic="quote", created_at=just_past_midnight)).endswith(", 01 Jul 2031")
