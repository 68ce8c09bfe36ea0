"""Settings that would make production less safe than it says stop the start, or are told."""

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from xfhandyman.security.relying_party import relying_party

SOUND = {
    "PRODUCTION": True,
    "STAFF_SECOND_FACTOR": True,
    "SECURITY_CONTACT": "mailto:security@example.com",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SESSION_COOKIE_NAME": "__Host-session",
    "CSRF_COOKIE_NAME": "__Host-csrf",
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, set()),
        ({"STAFF_SECOND_FACTOR": False}, {"xfhandyman.W031"}),
        ({"SECURITY_CONTACT": "security@example.com"}, {"xfhandyman.E031"}),
        ({"SESSION_COOKIE_SECURE": False}, {"xfhandyman.E032"}),
        ({"CSRF_COOKIE_NAME": "csrf"}, {"xfhandyman.E032"}),
        ({"SESSION_COOKIE_DOMAIN": "example.com"}, {"xfhandyman.E033"}),
        ({"PRODUCTION": False, "STAFF_SECOND_FACTOR": False, "CSRF_COOKIE_NAME": "csrf"}, set()),
    ],
)
def test_it_tells_what_contradicts(settings: Settings, changed: dict[str, object], expected: set[str]) -> None:
    for name, value in {**SOUND, **changed}.items():
        setattr(settings, name, value)
    found = {str(message.id) for message in run_checks()}
    assert {each for each in found if each.startswith(("xfhandyman.E03", "xfhandyman.W03"))} == expected


def test_passkeys_are_bound_to_the_name_of_the_site() -> None:
    assert relying_party(
        "https://www.example.com", ["example.com", "www.example.com", "a.www.example.com", ".b.com"]
    ) == (
        "www.example.com",
        ["https://www.example.com", "https://a.www.example.com"],
    )
    assert relying_party("https://shop.example:8443", []) == ("shop.example", ["https://shop.example:8443"])
    assert relying_party("https://Shop.example:443", []) == ("shop.example", ["https://shop.example"])
    for site in ("http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost:8000", "http://office.lan:8000"):
        assert relying_party(site, ["127.0.0.1"]) == ("localhost", ["http://localhost:8000"]), site
    assert relying_party("https://203.0.113.7", []) == ("localhost", ["http://localhost"])
