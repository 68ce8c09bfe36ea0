"""`/api/telemetry` and what it takes: the order of its checks, its limits, its answers; what a token allows."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from pytest_django import DjangoAssertNumQueries, Settings

from telemetry.rum import beacon, clients, models, store, tokens, views

SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile/15E148 Safari/604"
VIEW: dict[str, Any] = {
    "view": 0,
    "part": 0,
    "navigation": "navigate",
    "vitals": {"LCP": 1200, "CLS": 0.05, "FCP": 800, "TTFB": 90},
    "age": 5000,
}


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_rate", clients.RateLimit(1e6, 1e6))


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[store.Row]:
    """The rows that would be written."""
    taken: list[store.Row] = []
    monkeypatch.setattr(store, "put", taken.append)
    return taken


def send(data: object = None, **headers: Any) -> HttpResponse:
    body = data if isinstance(data, bytes) else orjson.dumps(VIEW if data is None else data)
    given = {"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_USER_AGENT": SAFARI, **headers}
    return Client().generic("POST", "/api/telemetry", body, given.pop("content_type", "application/json"), **given)  # type: ignore[return-value]  # what the client adds to it is not used


@pytest.mark.parametrize(
    ("status", "data", "headers"),
    [
        (204, None, {}),
        (204, None, {"content_type": "application/json; charset=utf-8"}),
        (415, None, {"content_type": "text/plain"}),
        (415, None, {"HTTP_CONTENT_ENCODING": "gzip"}),
        (403, None, {"HTTP_SEC_FETCH_SITE": "cross-site"}),
        (403, None, {"HTTP_SEC_FETCH_SITE": "none"}),
        (403, None, {"HTTP_SEC_FETCH_SITE": ""}),
        (403, None, {"HTTP_SEC_FETCH_SITE": "", "HTTP_ORIGIN": "https://evil.example"}),
        (403, None, {"HTTP_SEC_FETCH_SITE": "", "HTTP_ORIGIN": "http://[broken"}),
        (204, None, {"HTTP_SEC_FETCH_SITE": "", "HTTP_ORIGIN": "http://testserver", "HTTP_HOST": "testserver"}),
        (411, None, {"CONTENT_LENGTH": ""}),
        (411, None, {"CONTENT_LENGTH": "-1"}),
        (413, b" " * (64 * 1024 + 1), {}),
        (400, b" " * (64 * 1024), {}),
        (400, b"[]", {}),
        (400, b'{"vitals": {"LCP": NaN}}', {}),
        (400, b'{"vitals": 7}', {}),
        (400, b"[" * 60_000, {}),
        (400, b'{"errors": ["x"]}', {}),
        (400, b'{"token": "\xff"}', {}),
        (204, b"{}", {}),
        (400, b'{"vitals": {"LCP": 1e999999}}', {}),
        (204, b'{"view": 99999999999999999999999999, "part": -5, "age": "x"}', {}),
    ],
)
def test_it_answers(status: int, data: bytes | None, headers: dict[str, Any], settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    response = send(data, **headers)
    assert response.status_code == status
    assert response.content == b""
    assert not response.cookies


def test_it_only_takes_posts() -> None:
    response = Client().get("/api/telemetry")
    assert (response.status_code, response["Allow"]) == (405, "POST")


def test_it_asks_neither_database_nor_session(rows: list[store.Row]) -> None:
    assert send({**VIEW, "token": tokens.issue("/contact/")}).status_code == 204  # the database fixture is not there
    assert len(rows) == 1


def test_it_tells_who_sends_too_much_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_rate", clients.RateLimit(0.2, 100))
    answers = [send() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [204, 204, 429, 429]
    assert 1 <= int(answers[2]["Retry-After"]) <= 5
    assert send(REMOTE_ADDR="192.0.2.7").status_code == 204  # others are not held back


def test_it_takes_a_household_for_one_client() -> None:
    rate = clients.RateLimit(0.1, 1e6)
    assert [rate.wait(f"2001:db8:0:1::{number}") > 0 for number in range(3)] == [False, True, True]
    assert rate.wait("2001:db8:0:2::1") == 0


def test_it_counts_ipv4_clients_of_a_dual_stack_socket_one_by_one() -> None:
    rate = clients.RateLimit(0.1, 1e6)
    assert rate.wait("::ffff:192.0.2.1") == 0
    assert rate.wait("::ffff:192.0.2.2") == 0, "another client"
    assert rate.wait("192.0.2.1") > 0, "the same client, however it is written"


def test_it_remembers_a_bounded_number_of_clients() -> None:
    rate = clients.RateLimit(1, 1e6, clients=100)
    for number in range(1000):
        assert rate.wait(f"192.0.2.{number}") == 0
    assert len(rate._buckets) == 100


def test_it_labels_by_the_token_alone(rows: list[store.Row]) -> None:
    claimed = {**VIEW, "route": "/evil/", "device": "evil", "release": "evil"}
    send({**claimed, "token": tokens.issue("/contact/", trace_id="ab" * 16, span_id="cd" * 8)}, HTTP_USER_AGENT=SAFARI)
    [row] = rows
    assert (row.route, row.device, row.release, row.trace_id) == ("/contact/", "mobile", "development", "ab" * 16)
    assert (row.lcp, row.cls, row.inp) == (1.2, 0.05, None)


def test_it_takes_a_token_once_for_each_view(rows: list[store.Row]) -> None:
    token = tokens.issue("/contact/")
    for _ in range(3):
        send({**VIEW, "token": token})
    send({**VIEW, "token": token, "number": 1, "view": 1, "navigation": "back-forward-cache"})
    assert [row.navigation for row in rows] == ["navigate", "back-forward-cache"]


def signed_by(key: str) -> str:
    with override_settings(SECRET_KEY=key):
        return tokens.issue("/evil/")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "forged",
        "ä:é",
        signed_by("of somebody else"),
        signed_by("of somebody else").partition(":")[0] + ":" + tokens.issue("/contact/").partition(":")[2],
        tokens.issue("/contact/")[:-1],
    ],
)
def test_it_trusts_no_token_of_others(token: str, rows: list[store.Row]) -> None:
    assert tokens.read(token) == tokens.UNVERIFIED
    assert send({**VIEW, "token": token}).status_code == 204
    assert rows == []


def test_it_trusts_no_stale_token(monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.issue("/contact/")
    assert tokens.read(token).route == "/contact/"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + tokens.MAX_AGE + 2)
    assert tokens.read(token) == tokens.UNVERIFIED


def test_it_leaves_out_what_cannot_be() -> None:
    vitals = {"LCP": 60_001, "CLS": 101, "INP": -1, "FCP": True, "TTFB": "9", "XYZ": 3}
    assert beacon.parse(orjson.dumps({"vitals": vitals})).vitals == {}
    assert beacon.parse(orjson.dumps({"vitals": {"LCP": 60_000, "CLS": 100}})).vitals == {"LCP": 60_000, "CLS": 100}
    long = beacon.parse(orjson.dumps({"errors": [{"message": "x" * 9000, "stack": "y" * 9000}] * 200}))
    assert len(long.errors) == 50
    assert (len(long.errors[0].message), len(long.errors[0].stack)) == (300, 3000)


def test_it_tells_the_phases_of_a_navigation() -> None:
    #         dns     connect  request  response  domContentLoaded  load      TLS
    marks = [1, 3, 3, 20, 20, 50, 50, 60, 100, 110, 200, 210, 10]
    phases = beacon.parse(orjson.dumps({"timings": marks})).phases
    assert phases == {
        "dns": 2,
        "connect": 17,
        "tls": 10,
        "request": 30,
        "response": 10,
        "dom": 50,
        "load": 100,
    }
    unfinished = [1, 3, 3, 20, 20, 50, 50, 60, 0, 0, 0, 0, 0]
    assert set(beacon.parse(orjson.dumps({"timings": unfinished})).phases) == {"dns", "connect", "request", "response"}


@pytest.mark.parametrize(
    ("agent", "device", "machine"),
    [
        (SAFARI, "mobile", False),
        ("Mozilla/5.0 (iPad; CPU OS 15_0 like Mac OS X) Safari/604", "tablet", False),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537", "mobile", False),
        ("Mozilla/5.0 (Linux; Android 15; SM-X900) Chrome/140.0 Safari/537", "tablet", False),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537", "desktop", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "desktop", True),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140.0 Safari/537", "desktop", True),
        ("", "desktop", True),
        ("python-requests/2", "desktop", True),
    ],
)
def test_it_knows_coarsely_who_sends(agent: str, device: str, machine: bool) -> None:
    headers = RequestFactory().get("/", HTTP_USER_AGENT=agent).META
    assert clients.device(headers) == device
    assert clients.is_machine(headers) is machine


def test_it_leaves_machines_out_unless_told(rows: list[store.Row], settings: Settings) -> None:
    for data in ({**VIEW, "automated": True}, VIEW):
        agent = SAFARI if "automated" in data else "Googlebot/2.1"
        assert send({**data, "token": tokens.issue("/")}, HTTP_USER_AGENT=agent).status_code == 204
    assert rows == []
    settings.TELEMETRY = {"RUM_COUNT_AUTOMATION": True}
    send({**VIEW, "automated": True, "token": tokens.issue("/")})
    assert len(rows) == 1


def test_it_drops_what_was_sent_in_spite_of_an_objection(rows: list[store.Row]) -> None:
    assert send({**VIEW, "token": tokens.issue("/")}, HTTP_SEC_GPC="1").status_code == 204
    assert send({**VIEW, "token": tokens.issue("/")}, HTTP_DNT="1").status_code == 204
    assert rows == []


def test_it_keeps_a_sample_of_rows(rows: list[store.Row], settings: Settings) -> None:
    settings.TELEMETRY = {"RUM_SAMPLE_RATE": 0.25}
    for _ in range(200):
        send({**VIEW, "token": tokens.issue("/")})
    assert 25 <= len(rows) <= 80


def row(day: int, route: str = "/", lcp: float | None = 1.0) -> store.Row:
    received = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=day)
    return store.Row(received, route, "mobile", "navigate", "r", "", 0, lcp, 0.0, None, None, None, None, 0)


@pytest.mark.django_db(transaction=True)
def test_it_answers_percentiles_by_route_device_and_day(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    store.write([row(0, lcp=n / 100) for n in range(1, 101)] + [row(1, "/contact/", lcp=4.0)])
    store.write([row(0, lcp=n / 100) for n in range(101, 201)])
    first = datetime(2026, 3, 1, tzinfo=UTC).date()
    with django_assert_num_queries(1):
        found = models.RumDaily.objects.percentiles(first, first + timedelta(days=2))
    lcp = {(each.day.day, each.route): each for each in found if each.vital == "lcp"}
    assert lcp[(1, "/")].value == pytest.approx(1.5, rel=0.026)
    assert lcp[(1, "/")].count == 200
    assert lcp[(2, "/contact/")].value == pytest.approx(4.0, rel=0.026)
    assert [each.value for each in found if each.vital == "cls"] == [0.0, 0.0]
    assert models.RumSample.objects.count() == 201


@pytest.mark.django_db(transaction=True)
def test_it_forgets_after_the_retention() -> None:
    store.write([row(day) for day in range(10) for _ in range(30)])
    assert store.purge(datetime(2026, 3, 6, tzinfo=UTC), batch=50) == 150
    assert models.RumSample.objects.count() == 150
    assert min(models.RumDaily.objects.values_list("day", flat=True)).day == 6
