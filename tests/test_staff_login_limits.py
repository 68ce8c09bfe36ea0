"""Guessing is limited before a hash costs anything; names too long are refused; failures keep no query string."""

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from bookings import events
from bookings.ratelimit.rates import Limit
from xfhandyman.security import logins

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"
PASSWORD = "correct horse battery"


class CountingHasher(MD5PasswordHasher):
    """Counts what would cost 50 ms each."""

    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).hashed += 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def hasher(settings: Settings) -> type[CountingHasher]:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    User.objects.create_superuser("grace", password=PASSWORD)
    CountingHasher.hashed = 0
    return CountingHasher


def log_in(name: str, password: str = "guess", address: str = "203.0.113.7", query: str = "") -> HttpResponse:
    client = Client(REMOTE_ADDR=address)
    return client.post(LOGIN + query, {"username": name, "password": password, "next": "/admin/"})  # type: ignore[return-value]  # what the client adds to it is not used


def test_an_address_is_limited_before_anything_is_hashed(
    settings: Settings, hasher: type[CountingHasher], heard: list[events.Event]
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": Limit.parse("3/h 100/h")}
    statuses = [log_in(f"name {number}").status_code for number in range(6)]
    assert statuses == [200, 200, 200, 429, 429, 429]
    assert hasher.hashed == 3
    refused = log_in("grace", PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 1200
    page = refused.content.decode()
    assert "Wait 20 minutes" in page
    assert 'value="grace"' in page
    assert PASSWORD not in page
    assert log_in("grace", PASSWORD, address="198.51.100.4").status_code == 302, "a colleague elsewhere"
    assert events.LimitReached(limit="login", whose="client") in heard


def test_everybody_together_is_limited(settings: Settings, hasher: type[CountingHasher]) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": Limit.parse("3/h 4/h")}
    statuses = [log_in("grace", address=f"203.0.113.{number}").status_code for number in range(6)]
    assert statuses == [200, 200, 200, 200, 429, 429]
    assert hasher.hashed == 4


def test_strangers_cannot_use_up_the_turns_of_a_browser_that_logged_in_before(settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": Limit.parse("2/d 2/d")}
    owner = Client(REMOTE_ADDR="198.51.100.4")
    right = {"username": "grace", "password": PASSWORD, "next": "/admin/"}
    cookie = owner.post(LOGIN, right).cookies["known"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
    log_in("grace")
    assert log_in("grace", PASSWORD, address="192.0.2.1").status_code == 429, "everybody's turns are used up"
    owner.cookies.pop("session")
    assert owner.post(LOGIN, right).status_code == 302
    forger = Client(REMOTE_ADDR="192.0.2.2")
    forger.cookies["known"] = "staff:1:forged"
    assert forger.post(LOGIN, right).status_code == 429
    assert "known" not in Client().get(LOGIN).cookies


def test_a_worker_hashes_one_password_at_a_time(hasher: type[CountingHasher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "_TIMEOUT", 0.01)
    with logins.turn():
        refused = log_in("grace", PASSWORD)
    assert (refused.status_code, refused["Retry-After"], hasher.hashed) == (429, "2", 0)
    assert "Wait 2 seconds" in refused.content.decode()
    assert log_in("grace", PASSWORD).status_code == 302


@pytest.mark.parametrize("name", ["x" * 151, "x" * 254, "x" * 100_000, "ﷺ" * 20])
def test_a_name_that_is_too_long_is_refused_as_any_other(hasher: type[CountingHasher], name: str) -> None:
    answer = log_in(name)
    assert answer.status_code == 200
    assert "correct username and password" in answer.content.decode()
    assert (hasher.hashed, AccessAttempt.objects.count()) == (0, 0)


def test_a_failure_keeps_neither_the_query_nor_the_form() -> None:
    for _ in range(2):
        log_in("grace", "Secret1!", query="?next=/admin/&token=Secret2!")
    row = AccessAttempt.objects.get()
    assert row.failures_since_start == 2
    assert "Secret" not in str(AccessAttempt.objects.values().get())
    assert (row.get_data, row.post_data, row.path_info) == ("", "", LOGIN)
