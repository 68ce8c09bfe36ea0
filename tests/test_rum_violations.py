"""`/api/telemetry/csp`: both shapes of a report, and what cannot be made of it."""

from collections import OrderedDict
from typing import Any

import orjson
import pytest
from django.test import Client
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from telemetry import shared_table
from telemetry.rum import clients, tokens, views, violations

PATH = "/api/telemetry/csp"
LINK = "https://shop.example/bookings/secret-token/?email=ann@example.com"
OLD = {
    "document-uri": LINK,
    "effective-directive": "script-src-elem",
    "blocked-uri": "https://user:password@evil.example/x.js?ann@example.com",
    "script-sample": "ann@example.com",
}
NEW = {"documentURL": LINK, "effectiveDirective": "script-src-elem", "blockedURL": "inline"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_report_rate", clients.RateLimit(1e6, 1e6))
    monkeypatch.setattr(violations, "_logged", OrderedDict())
    monkeypatch.setattr(shared_table, "counts", shared_table.SharedTable(1024, exact=True))


_client = Client()


def send(data: object, kind: str = "application/csp-report", token: str = "", **headers: Any) -> int:
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    return _client.generic("POST", f"{PATH}?page={token}" if token else PATH, body, kind, **headers).status_code


def many(name: str, number: int) -> list[bytes]:
    """Bodies of reports that hold so many different violations."""
    blocked = [f"https://{name}{n}.example" for n in range(number)]
    reports = [{"type": "csp-violation", "body": NEW | {"blockedURL": each}} for each in blocked]
    return [orjson.dumps(reports[start : start + violations.MOST_REPORTS]) for start in range(0, number, 50)]


def logged(lines: list[Any], **values: object) -> list[Any]:
    return [line for line in lines if line["event"] == "csp_violation" and values.items() <= line.items()]


def counted(directive: str) -> float:
    return REGISTRY.get_sample_value("rum_csp_violations_total", {"directive": directive}) or 0


def test_it_counts_both_shapes_and_tells_each_kind_once() -> None:
    before, unverified = counted("script-src-elem"), REGISTRY.get_sample_value("rum_unverified_total", {"kind": "csp"})
    with capture_logs() as lines:
        for _ in range(3):
            assert send({"csp-report": OLD}) == 204
            other = {"type": "deprecation", "body": {}}
            assert send([other, {"type": "csp-violation", "body": NEW}], "application/reports+json") == 204
    assert counted("script-src-elem") == before, "no page vouches for it"
    assert REGISTRY.get_sample_value("rum_unverified_total", {"kind": "csp"}) == (unverified or 0) + 6
    assert [(line["blocked"], line["route"]) for line in logged(lines)] == [
        ("https://evil.example", "/bookings/<token>/"),
        ("inline", "/bookings/<token>/"),
    ]
    assert "secret" not in str(lines)
    assert "ann" not in str(lines)
    assert "password" not in str(lines)


@pytest.mark.parametrize(
    ("status", "data", "headers"),
    [
        (204, [], {}),
        (204, {"csp-report": {}}, {}),
        (204, {"csp-report": {"blocked-uri": "http://[", "document-uri": "http://[", "effective-directive": 7}}, {}),
        (204, {"csp-report": OLD}, {"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_SEC_GPC": "1"}),
        (403, {"csp-report": OLD}, {"HTTP_SEC_FETCH_SITE": "cross-site"}),
        (415, {"csp-report": OLD}, {"kind": "application/json"}),
        (413, b" " * (64 * 1024 + 1), {}),
        (411, b"{}", {"CONTENT_LENGTH": ""}),
        (400, b"{", {}),
        (400, b"7", {}),
        (400, {"csp-report": []}, {}),
        (400, [{"type": "csp-violation", "body": "x"}], {}),
        (400, b"[" * 60_000, {}),
    ],
)
def test_it_answers(status: int, data: object, headers: dict[str, Any]) -> None:
    assert send(data, **headers) == status


def test_it_counts_a_client_once_for_what_its_page_vouches_for() -> None:
    before, more = counted("script-src-elem"), counted("img-src")
    with capture_logs() as lines:
        for _ in range(3):
            send({"csp-report": OLD}, token=tokens.issue("/contact/"))
        send({"csp-report": OLD | {"effective-directive": "img-src"}}, token=tokens.issue("/contact/"))
        send({"csp-report": OLD}, token=tokens.issue("/contact/"), REMOTE_ADDR="192.0.2.9")
    assert counted("script-src-elem") == before + 2
    assert counted("img-src") == more + 1
    assert {line["route"] for line in logged(lines, vouched=True)} == {
        "/contact/"
    }  # the page's, whatever a report says
    assert len(logged(lines)) == 2


@pytest.mark.parametrize("token", [None, "/services/"])
def test_a_flood_of_forged_reports_silences_nobody(token: str | None) -> None:
    with capture_logs() as lines:
        for body in many("forged", 400):
            send(body, "application/reports+json", (token and tokens.issue(token)) or "")
        assert len(logged(lines)) == violations.MOST_LINES
        for number in range(2, 90):  # and if they come from everywhere, pages of ours still are heard
            send(many(f"forged{number}-", 5)[0], "application/reports+json", REMOTE_ADDR=f"198.51.100.{number}")
        assert len(logged(lines, vouched=False)) == violations.MOST_LINES_OF_ALL
        send({"csp-report": OLD}, token=tokens.issue("/contact/"), REMOTE_ADDR="192.0.2.9")
    assert len(logged(lines, blocked="https://evil.example")) == 1


def test_it_bounds_names_and_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    invented = [{"effectiveDirective": f"invented-{n}", "blockedURL": "inline"} for n in range(50)]
    reports = [{"type": "csp-violation", "body": body} for body in invented]
    before = counted("other")
    assert send(reports, "application/reports+json", tokens.issue("/")) == 204
    assert (counted("invented-1"), counted("other")) == (0, before + 1)
    foreign = {"csp-report": OLD | {"source-file": "moz-extension"}}
    before = counted("script-src-elem")
    assert send(foreign, token=tokens.issue("/")) == 204
    assert counted("script-src-elem") == before
    monkeypatch.setattr(views, "_report_rate", clients.RateLimit(0.1, 50))
    assert [send({"csp-report": OLD}) for _ in range(2)] == [204, 429]


def test_a_flood_of_reports_takes_nothing_of_the_beacons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_report_rate", clients.RateLimit(0.1, 0.1))
    monkeypatch.setattr(views, "_rate", clients.RateLimit(0.1, 0.1))
    assert [send({"csp-report": OLD}) for _ in range(2)] == [204, 429]
    beacon = _client.generic("POST", "/api/telemetry", b"{}", "application/json", HTTP_SEC_FETCH_SITE="same-origin")
    assert beacon.status_code == 204


def test_it_asks_no_database() -> None:
    """pytest-django refuses every query of a test without its mark."""
    assert send({"csp-report": OLD}) == 204
