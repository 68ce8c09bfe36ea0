"""Settings that would make production less safe than it says stop the start, or are told."""

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

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
