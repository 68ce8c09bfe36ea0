"""Money in any currency: kept in its minor unit, written as the country writes it, asked of Stripe as Stripe counts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django import forms
from django.core import mail
from django.template import Context, Template
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from bookings import money, scheduling, structured_data, tasks
from bookings.admin.fields import MoneyField
from bookings.models import Booking, Payment, Service, Status
from bookings.payments import amounts, checkout, stripe_api
from bookings.personal_data import archive
from bookings.scheduling import deposits
from harness.peers.stripe import StripePeer
from harness.stack import BASE_DIR
from tests import factories, payments

CURRENCIES = sorted(money._tender(date.today()))


def test_it_knows_the_money_of_today_alone() -> None:
    assert {"GBP", "USD", "EUR", "JPY", "KWD", "ISK", "UGX"} <= set(CURRENCIES)
    assert not [code for code in ("XXX", "XAU", "XTS", "DEM", "gbp", "", "POUND", "GBP ") if money.known(code)]


@pytest.mark.parametrize(
    ("currency", "country", "minor", "reads"),
    [
        ("GBP", "GB", 6500, "£65"),
        ("GBP", "GB", 6550, "£65.50"),
        ("GBP", "GB", 123456700, "£1,234,567"),
        ("USD", "US", 8505, "$85.05"),
        ("JPY", "JP", 8500, "¥8,500"),
        ("KWD", "KW", 8500, "KWD\xa08.500"),
        ("KWD", "KW", 8000, "KWD\xa08"),
        ("EUR", "DE", 123450, "1.234,50\xa0€"),
        ("ISK", "IS", 8500, "ISK\xa08,500"),
    ],
)
def test_it_reads_as_the_country_writes_it(settings: Any, currency: str, country: str, minor: int, reads: str) -> None:
    settings.BUSINESS_CURRENCY, settings.BUSINESS_COUNTRY = currency, country
    assert money.text(minor) == reads
    assert Template("{% load business %}{{ minor|money }}").render(Context({"minor": minor})) == reads


@given(st.sampled_from(CURRENCIES), st.integers(0, money.MOST))
def test_an_amount_survives_every_way_it_is_written(currency: str, minor: int) -> None:
    exact = money.exact(minor, currency)
    assert -int(exact.as_tuple().exponent) == money.digits(currency)
    assert money.minor(exact, currency) == minor
    assert "".join(filter(str.isdecimal, money.text(minor, currency))) in (
        f"{exact:f}".replace(".", ""),
        f"{exact:.0f}",
    )


@given(st.sampled_from(CURRENCIES), st.integers(1, money.MOST))
def test_what_stripe_is_asked_for_is_what_stripe_tells(currency: str, minor: int) -> None:
    minor -= minor % amounts.step(currency)
    asked = amounts.to_stripe(minor, currency.lower())
    assert amounts.from_stripe(asked, currency.lower()) == minor
    if money.digits(currency) == 3:
        assert asked % 10 == 0


@pytest.mark.parametrize(
    ("currency", "minor", "asked"),
    [
        ("gbp", 2000, 2000), ("jpy", 2000, 2000), ("krw", 5000, 5000), ("kwd", 2000, 2000), ("isk", 2000, 200000),
        ("ugx", 5, 500), ("huf", 2000, 200000), ("twd", 2000, 2000), ("vnd", 90000, 90000), ("idr", 90000, 9000000),
    ],
)  # fmt: skip
def test_stripe_is_asked_as_stripe_counts(currency: str, minor: int, asked: int) -> None:
    assert amounts.to_stripe(minor, currency) == asked


@pytest.mark.parametrize(("currency", "amount"), [("isk", 550), ("ugx", 1)])
def test_an_amount_of_stripes_that_we_cannot_have_asked_for_is_refused(currency: str, amount: int) -> None:
    with pytest.raises(ValueError, match="ours"):
        amounts.from_stripe(amount, currency)


@pytest.mark.parametrize(
    ("currency", "typed", "kept"), [("GBP", "71.50", 7150), ("JPY", "7150", 7150), ("KWD", "7.150", 7150)]
)
def test_staff_type_prices_with_the_currencys_decimals(settings: Any, currency: str, typed: str, kept: int) -> None:
    settings.BUSINESS_CURRENCY = currency
    field = MoneyField()
    assert field.clean(typed) == kept
    assert not field.has_changed(kept, str(field.prepare_value(kept)))
    for wrong in (typed + ("1" if "." in typed else ".5"), "-1", str(10**12), "7150.1234"):
        with pytest.raises(forms.ValidationError):
            field.clean(wrong)


@pytest.mark.parametrize("currency", ["XXX", "POUND", "DEM", "12"])
def test_an_unknown_currency_stops_the_start_with_one_line(currency: str) -> None:
    done = start(BUSINESS_CURRENCY=currency)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"XFHandyman: BUSINESS_CURRENCY is '{currency}'; it must be the code of a currency, such as GBP or JPY"
    ]


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """What the site says when it starts, without its database being asked."""
    return subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=BASE_DIR, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql:///never-opened", **environment},
    )  # fmt: skip


@pytest.fixture
def yen(settings: Any, stripe_peer: StripePeer) -> Iterator[StripePeer]:
    """A business in Japan that takes deposits."""
    settings.BUSINESS_CURRENCY, settings.BUSINESS_COUNTRY = "JPY", "JP"
    for name, value in stripe_peer.environment.items():
        setattr(settings, name, value)
    yield stripe_peer
    stripe_api._client.cache_clear()


@pytest.mark.django_db
def test_a_deposit_in_yen_is_asked_for_paid_and_given_back_in_yen(yen: StripePeer, client: Client) -> None:
    service = payments.service()
    factories.handyman(service)
    booking = payments.hold(service)
    address = checkout.start(booking=booking)
    (session,) = yen.ledger()["checkout.session"]
    assert (session["amount_total"], session["currency"]) == (2000, "jpy")
    assert "¥2,000" in client.get(f"{booking.get_absolute_url()}pay/").content.decode()
    assert yen.pay(address)
    deposits.settle_soon(booking.payment)
    payments.work()
    paid = Booking.objects.get()
    assert (paid.status, paid.payment.status) == (Status.CONFIRMED, Payment.Status.PAID)
    tasks.send_booking_email(booking_id=paid.pk, kind="confirmation", sequence=0)
    assert "¥2,000 paid" in str(mail.outbox[0].body)
    scheduling.cancel(booking=paid, by=scheduling.By.CUSTOMER)
    payments.work()
    assert [(refund["amount"], refund["currency"]) for refund in yen.ledger()["refund"]] == [(2000, "jpy")]


@pytest.mark.django_db
def test_a_deposit_keeps_its_currency_when_the_business_changes_its_own(settings: Any, client: Client) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_only_for_tests"
    service = payments.service()
    factories.handyman(service)
    booking = payments.hold(service)
    settings.BUSINESS_CURRENCY = "JPY"
    assert str(booking.payment) == "£20, not paid yet"
    assert "Pay £20 to book" in client.get(f"{booking.get_absolute_url()}pay/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(("currency", "price"), [("GBP", "60.00"), ("JPY", "6000"), ("KWD", "6.000")])
def test_search_engines_and_exports_get_exact_prices(settings: Any, currency: str, price: str, tmp_path: Any) -> None:
    settings.BUSINESS_CURRENCY = currency
    service = factories.service()
    assert f'"price": "{price}", "priceCurrency": "{currency}"' in structured_data.service(service)
    booking = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(10))
    told = archive._booking(booking)
    assert (told["price"], told["currency"]) == (price, currency)


def catalogue_form(client: Client, service: Service, **fields: str) -> str:
    url = f"/admin/bookings/service/{service.pk}/change/"
    form = client.get(url).context["adminform"].form
    data = {name: form[name].value() for name in form.fields} | {"active": "on"} | fields
    return client.post(url, {name: value for name, value in data.items() if value is not None}).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"deposit_pence": "60.01"}, "A deposit is at least £1 and at most the price"),
        ({"price_pence": "19.99"}, "A deposit is at least £1 and at most the price"),
        ({"deposit_pence": "0.50"}, "A deposit is at least £1 and at most the price"),
        ({"pricing": "quote"}, "A quote has no price yet"),
        ({"price_pence": "60.001"}, "no more than 2 decimal places"),
    ],
)
def test_the_catalogue_keeps_a_deposit_within_its_price(admin_client: Client, fields: Any, says: str) -> None:
    service = payments.service()
    assert says in catalogue_form(admin_client, service, **fields)
    assert Service.objects.get().deposit_pence == payments.DEPOSIT


def test_money_may_be_typed_exactly_or_not_at_all() -> None:
    with pytest.raises(ValueError, match="decimals"):
        money.minor(Decimal("1.5"), "JPY")
