"""The table against OWASP ASVS is complete and names tests that exist; and what it claims that no other test shows."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from harness.production import PRODUCTION
from tests import factories
from tests.routes import addresses
from tests.run import BASE_DIR

PAGE = (Path(settings.BASE_DIR) / "docs" / "asvs.md").read_text()
ROWS = re.findall(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (.+?) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)


def test_it_has_every_requirement_of_both_levels_once() -> None:
    assert Counter(level for _, level, *_ in ROWS) == {"1": 70, "2": 183}
    ids = [tuple(map(int, number.split("."))) for number, *_ in ROWS]
    assert ids == sorted(set(ids))
    states = Counter(state for *_, state, _ in ROWS)
    assert set(states) == {"met", "not applicable", "**not met**"}
    told = re.search(r"(\d+) requirements are met, (\d+) are not applicable, (\d+) are not met", PAGE)
    assert told
    assert [int(number) for number in told.groups()] == [
        states[state] for state in ("met", "not applicable", "**not met**")
    ]


def test_it_names_tests_files_and_headings_that_exist() -> None:
    tests, docs = Path(settings.BASE_DIR) / "tests", Path(settings.BASE_DIR) / "docs"
    assert not {name for name in re.findall(r"`(test_\w+\.py)`", PAGE) if not (tests / name).exists()}
    paths = re.findall(r"`((?:bookings|xfhandyman|ops|telemetry)/[\w/.]+)`", PAGE)
    assert not {path for path in paths if not (Path(settings.BASE_DIR) / path).exists()}
    for page, anchor in re.findall(r"\]\(([\w-]*(?:\.md)?)#([\w-]+)\)", PAGE):
        text = (docs / page).read_text() if page else PAGE
        headings = {
            re.sub(r"[^\w -]", "", line).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", text.lower(), re.M)
        }
        assert anchor in headings, (page, anchor)


@pytest.mark.django_db
def test_no_route_answers_trace_or_lets_another_site_read_it() -> None:
    client = Client(raise_request_exception=False)
    answered = {}
    for route, address in addresses().items():
        assert client.trace(address).status_code != 200, route
        answered[route] = client.get(address, headers={"Origin": "https://evil.example"})
    allowed = [name for answer in answered.values() for name in answer.headers if name.startswith("Access-Control")]
    assert allowed == []
    assert sum(answer.status_code == 200 for answer in answered.values()) > 10


@pytest.mark.django_db
def test_a_link_opens_while_the_key_that_signed_it_is_kept(client: Client, settings: Settings) -> None:
    service = factories.service()
    visit = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())
    link, before = visit.get_absolute_url(), settings.SECRET_KEY
    settings.SECRET_KEY = "another-key-0123456789-0123456789-0123456789-0123456789"
    assert client.get(link).status_code == 404
    settings.SECRET_KEY_FALLBACKS = [before]
    assert client.get(link).status_code == 200


def test_no_environment_turns_debugging_on_in_production() -> None:
    environment = {**os.environ, **PRODUCTION, "DEBUG": "true", "DATABASE_URL": "postgresql:///never-opened"}
    command = [sys.executable, "manage.py", "check"]
    refused = subprocess.run(command, env=environment, cwd=BASE_DIR, capture_output=True, text=True, check=False)
    assert refused.returncode
    assert "DEBUG shows visitors the code" in refused.stderr
