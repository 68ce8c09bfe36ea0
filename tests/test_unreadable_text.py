"""What PostgreSQL cannot keep as text (NUL, half a surrogate pair) gets a clear answer, never a 500."""

import json
import time
from collections.abc import Iterator

import pytest
import stripe
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.resolvers import RegexPattern
from pytest_django import Settings

from bookings.models import StripeEvent
from tests import factories

pytestmark = pytest.mark.django_db
NUL = "a\x00b"
FIELDS = (
    "action", "address", "body", "cancel", "change", "code", "consent", "customer_email", "customer_name",
    "customer_phone", "do", "email", "handyman", "ids", "index", "keep", "key", "name", "next", "note", "notes",
    "opened", "password", "phone", "postcode", "q", "select_across", "service", "start", "token", "topic", "username",
    "website", "_selected_action", "booking", "day", "week", "look", "done", "problem",
)  # fmt: skip


def patterns(resolver: URLResolver, namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from patterns(each, f"{each.namespace}:" if each.namespace else namespace)
        elif each.name:
            yield namespace + each.name, each


def addresses() -> Iterator[str]:
    """Every page of the site, with an existing service and booking in its address."""
    service = factories.service(slug="job")
    booking = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())
    known = {"slug": "job", "token": booking.link_token, "object_id": booking.pk, "app_label": "bookings", "pk": 1}
    known |= {"content_type_id": 1, "url": "x", "id": booking.pk}
    for name, pattern in patterns(get_resolver()):
        if "logout" in name:
            continue
        if isinstance(pattern.pattern, RegexPattern):
            wanted = {key: known.get(key, "x") for key in pattern.pattern.regex.groupindex}
        else:
            wanted = {key: known.get(key, "x") for key in pattern.pattern.converters}
        unnamed = [] if wanted else [booking.pk] * pattern.pattern.regex.groups
        address = reverse(name, args=unnamed or None, kwargs=wanted or None)
        yield f"{address}?ids={booking.pk}&booking={booking.pk}"


def failures(client: Client, method: str, data: dict[str, str] | None = None) -> list[str]:
    """The addresses that answer with a 5xx."""
    client.raise_request_exception = False
    failed = []
    for address in list(addresses()):
        with transaction.atomic():  # PostgreSQL refuses to go on in a transaction in which a statement failed
            status = getattr(client, method)(address, data).status_code
            transaction.set_rollback(True)
        if status >= 500 and status != 503:
            failed.append(f"{method} {address} {status}")
    return failed


def test_no_page_breaks_over_nul_in_its_query(admin_client: Client) -> None:
    assert failures(admin_client, "get", dict.fromkeys(FIELDS, NUL)) == []


def test_no_page_breaks_over_nul_in_its_form(admin_client: Client) -> None:
    assert failures(admin_client, "post", dict.fromkeys(FIELDS, NUL)) == []


@pytest.mark.parametrize("action", ["cancel", "move"])
def test_no_page_breaks_over_nul_beside_what_it_does(admin_client: Client, action: str) -> None:
    data = dict.fromkeys(FIELDS, NUL) | {"action": action, "do": "erase", "index": "0"}
    assert failures(admin_client, "post", data) == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_page_breaks_over_nul_in_a_cookie(client: Client, settings: Settings, method: str) -> None:
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, "messages"):
        client.cookies[name] = "\x00" * 32
    assert failures(client, method) == []


def test_no_page_breaks_over_nul_in_its_address(client: Client) -> None:
    client.raise_request_exception = False
    for address in ("/services/%00/", "/book/%00/", "/bookings/%00/", "/admin/bookings/booking/%00/change/", "/%00"):
        assert client.get(address).status_code < 500


@pytest.mark.parametrize("event_id", ["evt_\x00", "evt_\ud800", "", 7, None, "x" * 300, ["evt"]])
@pytest.mark.parametrize("field", ["id", "type"])
def test_a_signed_webhook_with_unreadable_text_is_refused(
    client: Client, settings: Settings, field: str, event_id: object
) -> None:
    assert webhook(client, settings, **{field: event_id}) == 400
    assert not StripeEvent.objects.exists()


@pytest.mark.parametrize("about", ["\x00", "\ud800"])
@pytest.mark.parametrize("kind", ["checkout.session", "payment_intent", "charge"])
def test_a_signed_webhook_about_an_unreadable_payment_is_refused(
    client: Client, settings: Settings, kind: str, about: str
) -> None:
    told = {"object": kind, "id": about, "payment_intent": about}
    assert webhook(client, settings, data={"object": told}) == 400


def webhook(client: Client, settings: Settings, **fields: object) -> int:
    """The answer to an event that Stripe has signed, with these fields."""
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", "whsec_1"
    signed_at = int(time.time())
    event = {"id": "evt_1", "type": "charge.refunded", "created": signed_at, "data": {"object": {"id": "x"}}}
    payload = json.dumps(event | fields)
    signature = stripe.WebhookSignature._compute_signature(f"{signed_at}.{payload}", "whsec_1")
    headers = {"Stripe-Signature": f"t={signed_at},v1={signature}"}
    client.raise_request_exception = False
    return client.post("/api/stripe", payload, "application/json", headers=headers).status_code
