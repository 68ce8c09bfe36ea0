"""What a production site tells browsers, read off its answers."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness.production import PRODUCTION
from harness.stack import Stack, running_stack
from tests.conftest import copied_database
from tests.observatory import Scan, grade, modifiers

HOST = PRODUCTION["ALLOWED_HOSTS"]
HTTPS = {"X-Forwarded-Proto": "https"}
PAGES = (
    "/", "/services/", "/services/tap-repair/", "/book/tap-repair/", "/contact/", "/privacy/", "/nowhere/",
    "/bookings/forged/", "/admin/login/", "/admin/", "/api/availability?service=tap-repair", "/robots.txt",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(demo_template: str, static_files: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A site as it runs in production, without the proxy in front: the tests speak as the proxy does."""
    directory: Path = tmp_path_factory.mktemp("production")
    with copied_database(demo_template) as url, running_stack(directory, url, PRODUCTION) as running:
        yield running


def ask(site: Stack, path: str, **headers: str) -> tuple[int, HTTPMessage, str]:
    connection = HTTPConnection(urlsplit(site.url).netloc, timeout=30)
    connection.request("GET", path, headers={"Host": HOST, **headers})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, body


def scan(site: Stack, path: str) -> Scan:
    _, plain, _ = ask(site, path)
    _, headers, html = ask(site, path, **HTTPS)
    said = {name.lower(): value for name, value in headers.items()}
    return Scan(said, tuple(headers.get_all("Set-Cookie", [])), html, HOST, plain.get("Location", ""))


@pytest.mark.parametrize("path", PAGES)
def test_it_has_the_observatorys_best_grade(site: Stack, path: str) -> None:
    found = scan(site, path)
    assert grade(found)[0] == "A+", modifiers(found)
    assert grade(found)[1] >= 130, modifiers(found)
    assert found.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in found.headers["permissions-policy"]
    policy = found.headers["content-security-policy"]
    for rule in (
        "require-trusted-types-for 'script'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    ):
        assert rule in policy
    assert found.headers["reporting-endpoints"].startswith('csp="/api/telemetry/csp')
    assert "report-to csp" in policy
    assert "preload" in found.headers["strict-transport-security"]


def test_it_would_see_each_header_go(site: Stack) -> None:
    """The grade falls with what is taken away: the test above can fail."""
    good = scan(site, "/contact/")
    worse = {
        "content-security-policy": ("", "default-src 'none'; script-src 'self' 'unsafe-inline'", "default-src *"),
        "strict-transport-security": ("", "max-age=3600"),
        "x-content-type-options": ("",),
        "referrer-policy": ("", "unsafe-url"),
        "cross-origin-resource-policy": ("", "anything"),
    }
    for header, values in worse.items():
        for value in values:
            assert grade(replace(good, headers={**good.headers, header: value}))[1] < grade(good)[1], (header, value)
    assert grade(replace(good, cookies=("sessionid=1; Path=/",)))[0] != "A+"
    assert grade(replace(good, plain_location=""))[1] < grade(good)[1]
    assert grade(replace(good, headers={}, plain_location=""))[0] == "F"
    assert grade(replace(good, html='<script src="//evil.example/x.js"></script>'))[0] == "C"


def test_it_gives_every_page_a_nonce_of_its_own(site: Stack) -> None:
    first, second = scan(site, "/contact/"), scan(site, "/contact/")
    nonces = []
    for found in (first, second):
        nonce = found.headers["content-security-policy"].partition("'nonce-")[2].partition("'")[0]
        assert len(nonce) >= 22
        assert found.html.count("<script") == found.html.count(f'<script nonce="{nonce}"') > 0
        nonces.append(nonce)
    assert nonces[0] != nonces[1]
    assert "unsafe" not in first.headers["content-security-policy"]


def test_it_lets_no_other_site_use_its_files(site: Stack) -> None:
    style = scan(site, "/").html.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    _, headers, _ = ask(site, style, **HTTPS)
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" not in headers


BARE = {
    "no such file": "GET /static/nowhere.css HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\n\r\n",
    "another host": "GET /contact/ HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Proto: https\r\n\r\n",
    "another host, plain": "GET /contact/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "no host": "GET /contact/ HTTP/1.0\r\n\r\n",
    "to https": "GET /static/nowhere.css HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "too long a body": "POST /contact/ HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\n"
    "Content-Length: 99999999999\r\n\r\n",
    "a probe": "GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "a probe's mistake": "POST /livez HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n",
    "a beacon": "POST /api/telemetry HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}",
    "no request": "nonsense\r\n\r\n",
    "no such version": "GET / HTTP/7.7\r\nHost: {host}\r\n\r\n",
    "too long a line": "GET /" + "x" * 9000 + " HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "too long a header": "GET / HTTP/1.1\r\nHost: {host}\r\nX: " + "x" * 20_000 + "\r\n\r\n",
    "too many headers": "GET / HTTP/1.1\r\nHost: {host}\r\n" + "X: x\r\n" * 200 + "\r\n",
    "no such coding": "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: x\r\n\r\n",
}


@pytest.mark.parametrize("request_text", BARE.values(), ids=BARE.keys())
def test_it_gives_no_answer_without_the_policies(site: Stack, request_text: str) -> None:
    """Of Django, of a middleware, of gunicorn: whoever answers."""
    address = urlsplit(site.url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=30) as sock:
        sock.sendall(request_text.format(host=HOST).encode())
        answer = HTTPResponse(sock)
        answer.begin()
        policy = answer.headers["Content-Security-Policy"] or ""
        assert "default-src 'none'" in policy, answer.status
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_it_sets_cookies_that_only_this_host_can_set(site: Stack) -> None:
    for path in ("/contact/", "/admin/login/"):
        for cookie in scan(site, path).cookies:
            assert cookie.startswith("__Host-")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
            assert "Domain" not in cookie
    for path in ("/", "/services/", "/privacy/", "/book/tap-repair/"):
        assert not scan(site, path).cookies


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/login/", "/admin/operations/", "/admin/jsi18n/", "/admin/nowhere/"]
)
def test_it_lets_nobody_keep_a_page_of_the_office(site: Stack, path: str) -> None:
    assert "no-store" in ask(site, path, **HTTPS)[1]["Cache-Control"]


def test_it_answers_no_other_host(site: Stack) -> None:
    for headers in ({"Host": "evil.example"}, {"Host": f"{HOST}@evil.example"}, {"Host": f"{HOST}:80:80"}):
        status, _, body = ask(site, "/contact/", **HTTPS, **headers)
        assert status == 400, headers
        assert "evil.example" not in body
    status, headers_sent, body = ask(
        site, "/", **HTTPS, **{"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    )
    assert status == 200
    assert "evil" not in body + str(headers_sent)


def test_it_believes_nobody_about_tls_without_trusted_proxies(stack: Callable[..., Stack]) -> None:
    """gunicorn would believe whoever connects from loopback, and refuse who contradicts himself."""
    site = stack(env=PRODUCTION | {"TRUSTED_PROXIES": ""})
    for headers in (
        HTTPS,
        {"X-Forwarded-Ssl": "on"},
        {"X-Forwarded-Protocol": "ssl"},
        HTTPS | {"X-Forwarded-Ssl": "off"},
    ):
        status, said, _ = ask(site, "/contact/", **headers)
        assert (status, said["Location"]) == (301, f"https://{HOST}/contact/"), headers


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/",
        "//evil.example",
        "/%5cevil.example/",
        "/\\evil.example",
        "/admin/login/?next=https://evil.example/",
        "/admin/login/?next=//evil.example",
        "/contact?next=//evil.example",
        "/services?x=%0d%0aLocation:%20https://evil.example",
    ],
)
def test_it_redirects_nowhere_else(site: Stack, path: str) -> None:
    for headers in ({}, HTTPS):
        _, said, _ = ask(site, path, **headers)
        location = urlsplit(said.get("Location", ""))
        assert location.netloc in ("", HOST), said["Location"]
        assert "evil.example" not in {name.lower(): value for name, value in said.items()}.get("set-cookie", "")


def test_it_says_where_to_tell_of_a_hole(site: Stack) -> None:
    status, headers, body = ask(site, "/.well-known/security.txt", **HTTPS)
    said = dict(line.split(": ", 1) for line in body.splitlines())
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert said["Contact"] == f"{PRODUCTION['SITE_URL']}/contact/"
    assert said["Canonical"] == f"{PRODUCTION['SITE_URL']}/.well-known/security.txt"
    assert timedelta(days=30) < datetime.fromisoformat(said["Expires"]) - datetime.now(UTC) < timedelta(days=365)
