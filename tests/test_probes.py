"""Probes and the scraper of a production site: by name, by address, with and without TLS before it."""

import re
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness.production import PRODUCTION
from harness.stack import Stack, running_stack
from tests.conftest import copied_database

TOKEN = "a-token-for-the-scraper"
NAME = PRODUCTION["ALLOWED_HOSTS"]
FORMS = {
    "by name": f"HTTP/1.1\r\nHost: {NAME}",
    "by name, through the proxy": f"HTTP/1.1\r\nHost: {NAME}\r\nX-Forwarded-Proto: https",
    "by address": "HTTP/1.1\r\nHost: 127.0.0.1:8000",
    "by address, through the proxy": "HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Proto: https",
    "by an address of IPv6": "HTTP/1.1\r\nHost: [fdaa::3]:8000",
    "by a name of inside": "HTTP/1.1\r\nHost: web-1.internal",
    "by no name": "HTTP/1.0",
}
ANSWERS = {
    "/livez": (200, "ok"),
    "/readyz": (200, ""),
    "/api/health": (200, '{"status": "'),
    "/api/health?verbose=1": (200, f'"version": "{PRODUCTION["RELEASE"]}"'),
    "/metrics": (200, "http_requests_total"),
}


@pytest.fixture(scope="module")
def site(demo_template: str, static_files: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("production")
    with (
        copied_database(demo_template) as url,
        running_stack(directory, url, PRODUCTION | {"METRICS_TOKEN": TOKEN}) as running,
    ):
        yield running


def ask(site: Stack, method: str, path: str, form: str, *more: str) -> tuple[int, str]:
    address = urlsplit(site.url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=30) as sock:
        sock.sendall("\r\n".join([f"{method} {path} {form}", *more, "", ""]).encode())
        answer = HTTPResponse(sock, method=method)
        answer.begin()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("path", ANSWERS)
def test_it_answers_probes_alike_however_they_reach_it(site: Stack, path: str, form: str) -> None:
    token = f"Authorization: Bearer {TOKEN}"
    status, body = ask(site, "GET", path, form, token)
    assert (status, ANSWERS[path][1] in body) == (ANSWERS[path][0], True), body
    assert ask(site, "HEAD", path, form, token) == (200, "")
    assert ask(site, "POST", path, form, token, "Content-Length: 0")[0] == 405


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_it_hides_the_metrics_from_whoever_has_no_token(site: Stack, form: str) -> None:
    assert ask(site, "GET", "/metrics", form)[0] == 404
    assert ask(site, "GET", "/metrics", form, "Authorization: Bearer wrong")[0] == 404


def test_it_answers_nothing_else_but_by_its_name_and_tls(site: Stack) -> None:
    for path in ("/", "/api/availability", "/livez/", "/metrics/"):
        statuses = [ask(site, "GET", path, form)[0] for form in FORMS.values()]
        assert statuses[0] == 301, path
        assert set(statuses[2:]) == {400}, path


def test_it_tells_the_public_nothing_but_a_word_for_each_check_and_the_release(site: Stack) -> None:
    _, body = ask(site, "GET", "/api/health", FORMS["by address"])
    assert re.fullmatch(r'\{"status": "\w+", "checks": \{("\w+": "\w+",? ?)+\}, "version": "check"\}', body), body
