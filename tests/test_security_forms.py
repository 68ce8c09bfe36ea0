"""Forms and links: tokens everywhere, links that cannot be guessed, and one answer for all that are none."""

import base64
import math
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from pytest_django import Settings

from bookings.models import Booking
from bookings.models.booking import new_link_key
from tests import factories

# What is sent by browsers or by Stripe by themselves; each looks at who sends in its own way.
WITHOUT_TOKEN = {"telemetry_beacon", "telemetry_csp", "stripe_webhook"}


def views(resolver: URLResolver) -> Iterator[URLPattern]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern)
        else:
            yield pattern


def test_it_asks_every_form_for_its_token() -> None:
    exempt = {pattern.name for pattern in views(get_resolver()) if getattr(pattern.callback, "csrf_exempt", False)}
    assert exempt == WITHOUT_TOKEN


@pytest.mark.django_db
def test_it_does_nothing_for_a_form_without_its_token(visit: Booking) -> None:
    client = Client(enforce_csrf_checks=True)
    service = visit.service.slug
    for path in ("/contact/", f"/book/{service}/details/", visit.get_absolute_url(), "/admin/login/", "/"):
        assert client.post(path, {"action": "cancel"}).status_code == 403, path
        forged = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}
        assert (
            client.post(path, {"action": "cancel", "csrfmiddlewaretoken": "x" * 64}, headers=forged).status_code == 403
        )
    visit.refresh_from_db()
    assert visit.is_open


@pytest.fixture
def visit() -> Booking:
    service = factories.service()
    return factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())


def page(client: Client, token: str, tail: str = "") -> tuple[int, str]:
    """What a link shows, without what is new on every page."""
    answer = client.get(f"/bookings/{token}/{tail}")
    text = answer.content.decode().replace(token, "")
    return answer.status_code, re.sub(r'(nonce|data-\w+|href)="[^"]*"|<code>\w+</code>', "", text)


@pytest.mark.django_db
def test_it_answers_every_link_that_opens_nothing_alike(client: Client, visit: Booking, settings: Settings) -> None:
    good = visit.link_token
    assert page(client, good)[0] == 200
    head, _, signature = good.rpartition(":")
    strangers = {
        "nonsense": "anything",
        "cut short": good[:-1],
        "another's signature": f"{head}:{signature[::-1]}",
        "another purpose": signing.dumps([visit.pk, visit.link_key], salt="other"),
        "a booking there is none of": signing.dumps([visit.pk + 999, visit.link_key], salt="bookings.link"),
        "a wrong key": signing.dumps([visit.pk, new_link_key()], salt="bookings.link"),
        "a wrong shape": signing.dumps({"pk": visit.pk}, salt="bookings.link"),
        "SQL": "' OR 1=1 --",
    }
    expected = page(client, "no-such-token")
    assert expected[0] == 404
    for name, token in strangers.items():
        assert page(client, token) == expected, name
    for tail in ("confirmed/", "calendar.ics"):
        assert page(client, "x", tail)[0] == 404
    visit.link_key = new_link_key()
    visit.save()
    assert page(client, good) == expected, "revoked"
    renewed = visit.link_token
    long_ago = timezone.now() - timedelta(days=settings.BOOKING_LINK_DAYS + 2)
    visit.take_time(long_ago)
    visit.save()
    assert page(client, renewed) == expected, "expired"


@pytest.mark.django_db
def test_it_looks_up_no_booking_for_a_forged_link(client: Client, visit: Booking) -> None:
    """So the time an answer takes tells nothing of which bookings there are."""
    real = visit.link_token
    for token in (real[:-4] + "AAAA", "x" * len(real)):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert page(client, token)[0] == 404
        assert not [query["sql"] for query in asked if '"bookings_booking"' in query["sql"]]


def test_it_makes_links_that_nobody_guesses() -> None:
    keys = {new_link_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert {len(base64.urlsafe_b64decode(key + "==")) * 8 for key in keys} == {128}
    seen = "".join(keys)
    entropy = -sum(seen.count(sign) / len(seen) * math.log2(seen.count(sign) / len(seen)) for sign in set(seen))
    assert entropy > 5.9  # of 6 bits a sign


@pytest.mark.django_db
def test_it_shows_photos_to_staff_and_tells_others_nothing(client: Client) -> None:
    """Whether there is such a photo or not."""
    answers = [client.get(reverse("message_photo", args=[number])) for number in (1, 10**9)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert all(answer.headers["Location"].startswith("/admin/login/") for answer in answers)
