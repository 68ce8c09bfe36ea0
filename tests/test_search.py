"""How staff find people: by whatever they remember, however it is written, and by an index."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from bookings import search
from bookings.models import Booking, ContactMessage, Payment
from tests import factories

pytestmark = pytest.mark.django_db
LIST = "/admin/bookings/booking/"


@pytest.fixture
def visit() -> Booking:
    """Of Zoë Núñez-Łukasik, among others."""
    service = factories.service()
    handyman = factories.handyman(service)
    for hour in (8, 10, 14):
        factories.booking(
            service=service, handyman=handyman, starts_at=factories.tomorrow(hour), customer_name="Sam Taylor",
            customer_phone="020 7946 0999", postcode="N1 2AB", address="5 Demo Mews", customer_email="sam@example.org",
        )  # fmt: skip
    return factories.booking(
        service=service, handyman=handyman, starts_at=factories.tomorrow(12), customer_name="Zoë Núñez-Łukasik",
        customer_phone="07700 900101", postcode="SE15 4QL", address="14 Straße, London",
        customer_email="zoe.nunez@example.com",
    )  # fmt: skip


def found(client: Client, typed: str, where: str = LIST) -> list[Any]:
    return list(
        client.get(where, {"q": typed, "folder": "all"} if "message" in where else {"q": typed}).context["cl"].queryset
    )


@pytest.mark.parametrize(
    "typed",
    [
        "07700900101", "07700 900101", "07700 900 101", "+44 7700 900101", "+447700900101", "0044 7700 900101",
        "(07700) 900101", "+44 (0)7700-900101", "7700900101", "07700900", "07700 900101 ext 3", "900101",
        "Zoë 07700900101", "07700900101 nunez",
    ],
)  # fmt: skip
def test_a_phone_is_found_however_it_is_written(admin_client: Client, visit: Booking, typed: str) -> None:
    assert found(admin_client, typed) == [visit]


@pytest.mark.parametrize(
    "typed",
    [
        "SE154QL", "se15 4ql", "SE15", "se154", "zoë", "Zoe", "ZOE NUNEZ", "nuñez", "lukasik", "Łukasik", "Nunez Zo",
        "zoe.nunez@example.com", "nunez@example.com", "strase", "14 Straße", "Zoe\u0308",
    ],
)  # fmt: skip
def test_a_customer_is_found_by_what_staff_remember(admin_client: Client, visit: Booking, typed: str) -> None:
    assert found(admin_client, typed) == [visit]
    assert found(admin_client, visit.reference.lower()) == [visit]


@pytest.mark.parametrize(
    "typed", ["07700900102", "SE154QX", "Zoe Taylor", "!!!", "'", "\\", "zoe' | 'sam", ":*", "& | !", "日本"]
)
def test_it_finds_nothing_where_nothing_is(admin_client: Client, visit: Booking, typed: str) -> None:
    assert found(admin_client, typed) == []


def test_a_phone_from_abroad_is_found_with_and_without_its_country(admin_client: Client, visit: Booking) -> None:
    Booking.objects.filter(pk=visit.pk).update(customer_phone="+1 212-555-0100 x9")
    for typed in ("+1 212 555 0100", "2125550100", "212-555-0100", "001 212 555 0100", "12125550100"):
        assert found(admin_client, typed) == [visit], typed


def test_messages_are_found_alike(admin_client: Client) -> None:
    message = ContactMessage.objects.create(
        name="Zoë", email="zoe@example.com", phone="07700 900101", body="The tap " + "x" * 4900
    )
    ContactMessage.objects.create(name="Sam", email="sam@example.com", body="The door")
    for typed in ("07700900101", "zoe", "ZOË tap", "+44 7700 900101", "x" * 90):
        assert found(admin_client, typed, "/admin/bookings/contactmessage/") == [message], typed


def test_deposits_are_found_by_their_customer_or_stripes_number(admin_client: Client, visit: Booking) -> None:
    payment = Payment.objects.create(
        booking=visit, amount_pence=2000, currency="gbp", status="paid", intent_id="pi_Abc1",
        session_expires_at=timezone.now(),
    )  # fmt: skip
    for typed in ("07700900101", "Nunez", "pi_Abc1", visit.reference):
        assert found(admin_client, typed, "/admin/bookings/payment/") == [payment], typed
    assert found(admin_client, "pi_Xyz", "/admin/bookings/payment/") == []


@pytest.mark.parametrize(("model", "index"), [(Booking, "booking_words"), (ContactMessage, "contact_message_words")])
def test_the_index_answers(model: Any, index: str) -> None:
    words = model._meta.indexes[[each.name for each in model._meta.indexes].index(index)].expressions[0]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert (
        f"Bitmap Index Scan on {index}" in model.objects.order_by().filter(search.matches(words, "'zoe':*")).explain()
    )


@given(st.text(st.characters(max_codepoint=0x24F, exclude_characters="\x00"), max_size=60))
def test_the_database_folds_words_as_we_do(typed: str) -> None:
    Booking.objects.all().delete()
    service = factories.service()
    visit = factories.booking(
        service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(), address=typed
    )
    for word in search.folded(typed):
        assert list(
            Booking.objects.filter(search.matches(Booking._meta.indexes[-1].expressions[0], f"'{word}':*"))
        ) == [visit]
