"""`/api/telemetry/csp`: both shapes of a report, and what cannot be made of it."""

from typing import Any

import orjson
import pytest
from django.test import Client
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from telemetry.rum import clients, views, violations

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
    monkeypatch.setattr(views, "_rate", clients.RateLimit(1e6, 1e6))
    monkeypatch.setattr(violations, "_told", set())


def send(data: object, kind: str = "application/csp-report", **headers: Any) -> int:
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    return Client().generic("POST", PATH, body, kind, **headers).status_code


def counted(directive: str) -> float:
    return REGISTRY.get_sample_value("rum_csp_violations_total", {"directive": directive}) or 0


def test_it_counts_both_shapes_and_tells_each_kind_once() -> None:
    before = counted("script-src-elem")
    with capture_logs() as lines:
        for _ in range(3):
            assert send({"csp-report": OLD}) == 204
            other = {"type": "deprecation", "body": {}}
            assert send([other, {"type": "csp-violation", "body": NEW}], "application/reports+json") == 204
    assert counted("script-src-elem") == before + 6
    told = [line for line in lines if line["event"] == "csp_violation"]
    assert [(line["blocked"], line["route"]) for line in told] == [
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


def test_it_bounds_names_lines_and_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    invented = [{"effectiveDirective": f"invented-{n}", "blockedURL": f"https://h{n}.example"} for n in range(250)]
    reports = [{"type": "csp-violation", "body": body} for body in invented]
    before = counted("other")
    with capture_logs() as lines:
        for start in range(0, 250, violations.MOST_REPORTS):
            assert send(reports[start : start + violations.MOST_REPORTS], "application/reports+json") == 204
        assert send(reports, "application/reports+json") == 204
    assert counted("invented-1") == 0
    assert counted("other") == before + 250 + violations.MOST_REPORTS
    assert len([line for line in lines if line["event"] == "csp_violation"]) == violations.MOST_KINDS
    foreign = {"csp-report": OLD | {"source-file": "moz-extension"}}
    before = counted("script-src-elem")
    assert send(foreign) == 204
    assert counted("script-src-elem") == before
    monkeypatch.setattr(views, "_rate", clients.RateLimit(0.1, 50))
    assert [send({"csp-report": OLD}) for _ in range(2)] == [204, 429]


def test_it_asks_no_database() -> None:
    """pytest-django refuses every query of a test without its mark."""
    assert send({"csp-report": OLD}) == 204
