"""What may reach a number that somebody is paged for: what a token vouches for, once, and each client once."""

import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
import yaml
from django.http import HttpResponse
from django.test import Client
from prometheus_client import REGISTRY
from pytest_django import Settings

from harness.stack import BASE_DIR, Stack, wait_for
from telemetry import errors, shared_table
from telemetry.conf import conf
from telemetry.rum import clients, foreign, projections, shares, store, tokens, views
from telemetry.rum.beacon import ScriptError
from tests.rum import Watched
from tests.test_rum_abuse import ANY_RATE, EVERY_VIEW, HEADERS, Sender
from tests.test_rum_ingest import SAFARI, signed_by

ALL: dict[str, Any] = {
    "navigation": "navigate",
    "vitals": {"LCP": 59_000, "CLS": 9, "INP": 59_000, "FCP": 59_000, "TTFB": 59_000},
    "timings": [0, 1, 1, 2, 2, 90, 90, 95, 100, 110, 110, 120, 1],
    "fetches": [{"path": "/api/availability", "status": 500, "at": 1, "duration": 9_000}],
    "errors": [{"type": "TypeError", "message": "x", "file": "/contact/", "line": 1, "column": 1}] * 3,
    "dropped": 100_000,
    "age": 5000,
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit, nobody counted yet, no row written."""
    monkeypatch.setattr(views, "_rate", clients.RateLimit(1e6, 1e6))
    monkeypatch.setattr(shared_table, "pages", shared_table.SharedTable(1024, exact=True))
    monkeypatch.setattr(shared_table, "counts", shared_table.SharedTable(1024, exact=True))
    monkeypatch.setattr(store, "put", lambda _row: None)


_client = Client()


def send(data: dict[str, Any], address: str = "192.0.2.1", **headers: Any) -> HttpResponse:
    given = {"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_USER_AGENT": SAFARI, "REMOTE_ADDR": address, **headers}
    return _client.generic("POST", "/api/telemetry", orjson.dumps(data), "application/json", **given)  # type: ignore[return-value]  # what the client adds to it is not used


def count(name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    return sum(
        sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def read_by_rules() -> set[str]:
    """Every metric of the site that a rule, or the text of an alert, asks for; but those of the request itself."""
    expressions = [
        str(value)
        for path in (BASE_DIR / "ops/prometheus").glob("*.yml")
        for group in yaml.safe_load(path.read_text()).get("groups", [])
        for rule in group["rules"]
        for value in (rule["expr"], *rule.get("annotations", {}).values())
    ]
    assert len(expressions) > 50
    names = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    names |= {"rum_js_errors_total", "telemetry_dropped_total"}
    read = names & set(re.findall(r"\w+", " ".join(expressions)))
    return {name for name in read if not name.startswith("http_")}


def values(names: set[str]) -> dict[str, float]:
    return {name: count(name) for name in names}


def test_rules_read_nothing_of_a_beacon_without_a_valid_token(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[dict[str, Any]] = []
    monkeypatch.setattr(errors, "reporting", lambda: True)
    monkeypatch.setattr(errors, "browser", lambda error: reported.append(error))
    used = tokens.issue("/contact/")
    send({**ALL, "token": used})  # makes the series, too
    watched = read_by_rules()
    assert {name for name in watched if name.startswith("rum_")} >= {"rum_lcp_seconds_bucket", "rum_lcp_seconds_count"}
    before, unverified, reports = values(watched), count("rum_unverified_total"), len(reported)
    for number, token in enumerate(
        ["", "forged", signed_by("of somebody else"), tokens.issue("/contact/")[:-1], used, used, "ä:é"]
    ):
        assert send({**ALL, "token": token}, f"198.51.100.{number}").status_code == 204
    for too_many in (64, 65, 10**9):
        send({**ALL, "token": tokens.issue("/contact/"), "number": too_many}, "198.51.100.200")
    send({**ALL, "token": tokens.issue("/contact/"), "automated": True}, "198.51.100.201")
    assert values(watched) == before
    assert len(reported) == reports
    assert count("rum_unverified_total") >= unverified + 10
    # The same, vouched for, does count, so that the above says something.
    send({**ALL, "token": tokens.issue("/contact/")}, "203.0.113.9")
    changed = {name for name, value in values(watched).items() if value != before[name]}
    assert {name for name in watched if name.startswith("rum_")} == changed


def test_a_page_counts_each_of_its_beacons_once() -> None:
    page = tokens.read(tokens.issue("/contact/"))
    assert tokens.first(page, 0)
    assert tokens.first(page, 1)  # what is new after a return to the tab
    assert not tokens.first(page, 0)
    assert tokens.first(page, 63)
    assert not tokens.first(page, 64)
    assert not tokens.first(page, 10**6)


def test_a_client_counts_once_for_a_page_however_often_it_comes(settings: Settings) -> None:
    before, failed = count("rum_lcp_seconds_count"), count("rum_js_errors_total")
    for number in range(40):
        send({**ALL, "token": tokens.issue("/contact/"), "view": number % 3}, "192.0.2.1")
    assert count("rum_lcp_seconds_count") == before + 1
    assert count("rum_js_errors_total") == failed + 1
    for number in range(40):  # a /48 is one client, and so is an address however it is written
        send({**ALL, "token": tokens.issue("/contact/")}, f"2001:db8:7:{number}::1")
        send({**ALL, "token": tokens.issue("/contact/")}, "::ffff:192.0.2.1")
    assert count("rum_lcp_seconds_count") == before + 2
    assert count("rum_js_errors_total") == failed + 2
    send({**ALL, "token": tokens.issue("/services/")}, "192.0.2.1")
    assert count("rum_lcp_seconds_count", route="/services/") == 1
    settings.TELEMETRY = {"RUM_CLIENT_WINDOW": 0}
    for _ in range(3):
        send({**ALL, "token": tokens.issue("/contact/")}, "192.0.2.1")
    assert count("rum_lcp_seconds_count") == before + 6


def test_what_a_page_measures_later_counts_with_what_it_sent_first() -> None:
    token = tokens.issue("/")
    before = count("rum_inp_seconds_count"), count("rum_lcp_seconds_count")
    send({"token": token, "number": 0, "vitals": {"LCP": 900}})
    send({"token": token, "number": 1, "part": 1, "vitals": {"INP": 90}})
    assert (count("rum_inp_seconds_count"), count("rum_lcp_seconds_count")) == (before[0] + 1, before[1] + 1)


def test_a_client_counts_again_when_its_window_is_over(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    assert shares.first("192.0.2.1", "/", 0b11) == 0b11
    assert shares.first("192.0.2.1", "/", 0b110) == 0b100
    now += conf.rum_client_window + 1
    assert shares.first("192.0.2.1", "/", 0b111) == 0b111
    assert shares.first("192.0.2.1", "/", 0b111) == 0


def test_it_counts_only_what_the_client_counts_for_in_the_days_percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[store.Row] = []
    monkeypatch.setattr(store, "put", rows.append)
    for _ in range(2):
        send({**ALL, "token": tokens.issue("/contact/")})
    assert [row.lcp for row in rows] == [59.0, 59.0]
    assert [set(row.counted) for row in rows] == [{"lcp", "cls", "inp", "fcp", "ttfb"}, set()]


def test_all_browsers_share_one_budget_of_issues(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []
    monkeypatch.setattr(errors, "reporting", lambda: True)
    monkeypatch.setattr(errors, "browser", lambda error: reported.append(error.name))
    held = count("telemetry_dropped_total", pipeline="sentry", reason="rate_limited")
    different = [{"type": f"E{number}", "message": "x", "file": "/", "line": number} for number in range(50)]
    send({"token": tokens.issue("/"), "errors": different}, "192.0.2.1")
    assert len(reported) == projections.MOST_ISSUES
    for number in range(2, 40):
        send({"token": tokens.issue("/"), "errors": different}, f"192.0.2.{number}")
    assert len(reported) == projections.MOST_ISSUES_OF_ALL
    dropped = count("telemetry_dropped_total", pipeline="sentry", reason="rate_limited") - held
    assert dropped == 39 * 50 - projections.MOST_ISSUES_OF_ALL


CHROME = "TypeError: x\n    at run (chrome-extension://abcdef/content.js:1:2)\n    at {site}/static/build/rum.js:1:9"
CALLED_BY_EXTENSION = (
    "TypeError: x\n    at window.fetch ({site}/static/build/rum.js:1:9)\n    at chrome-extension://abcdef/c.js:1:2"
)
OURS = "TypeError: no https://evil.example/ here\n    at pick ({site}/static/build/picker.1a.js:1:2)"


@pytest.mark.parametrize(
    ("is_foreign", "message", "stack"),
    [
        (True, "x", CHROME),
        (True, "x", CALLED_BY_EXTENSION),
        (True, "x", "run@moz-extension://1-2/content.js:1:2\n"),
        (True, "x", "run@safari-web-extension://1-2/content.js:1:2\n"),
        (True, "x", "run@webkit-masked-url://hidden/:1:2\n"),
        (True, "x", "run@user-script:3:1:2"),
        (True, "x", "TypeError: x\n    at async run (https://scanner.example/main.js:1:2)\n    at {site}/contact/:1:1"),
        (True, "x", "@https://cdn.example/x.js:1:2"),
        (True, "undefined is not an object (evaluating '__gCrWeb.instantSearch')", "@{site}/contact/:1:2"),
        (True, "Object Not Found Matching Id:3, MethodName:update", "@:0:0"),  # a virus scanner of mail
        (True, "Script error.", "@:0:0"),
        (False, "x", OURS),
        (False, "x", "pick@{site}/static/build/picker.1a.js:1:2\nglobal code@{site}/contact/:1:1"),
        (False, "x", "@{site}/contact/:1:2"),
        (False, "x", "@:0:0"),
        (False, "x", "TypeError: x\n    at eval (eval at evaluate (:302:30), <anonymous>:1:26)"),
    ],
)
@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1:8000"])
def test_it_tells_scripts_of_others_from_ours(is_foreign: bool, message: str, stack: str, host: str) -> None:
    error = ScriptError("TypeError", message, stack.replace("{site}", f"https://{host}"))
    assert foreign.is_foreign(error, host) is is_foreign


def test_it_counts_no_error_of_an_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[store.Row] = []
    monkeypatch.setattr(store, "put", rows.append)
    monkeypatch.setattr(errors, "reporting", lambda: True)
    monkeypatch.setattr(errors, "browser", lambda _error: pytest.fail("reported"))
    before, put_aside = count("rum_js_errors_total"), count("rum_foreign_errors_total")
    send({"token": tokens.issue("/"), "errors": [{"type": "TypeError", "message": "x", "stack": CHROME}]})
    assert count("rum_js_errors_total") == before
    assert count("rum_foreign_errors_total") == put_aside + 1
    assert [row.js_errors for row in rows] == [0]


def test_a_table_forgets_the_oldest_and_never_takes_what_it_forgot_for_new() -> None:
    table = shared_table.SharedTable(64, exact=True)
    seen = [(key * 7919, 1000.0 + key) for key in range(1, 1000)]
    accepted = [table.update(key, at, 1.0, lambda value: value | 1) == 0 for key, at in seen]
    assert all(accepted)
    again = [table.update(key, at, 1.0, lambda value: value | 1) for key, at in seen]
    assert 0 not in again  # each is known, or cannot be known any more
    assert 32 <= again.count(1) <= 64
    assert table.update(5, 2500.0, 1.0, lambda value: value | 1) == 0


def test_a_table_is_one_for_all_processes() -> None:
    table = shared_table.SharedTable(64, exact=True)
    children = []
    for _ in range(4):
        if not (child := os.fork()):
            for key in range(8, 40):
                for _ in range(50):
                    table.update(key, 2.0, 1.0, lambda value: value + 1)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    counts = [table.update(key, 2.0, 1.0, lambda value: value) for key in range(8, 40)]
    assert sum(number or 0 for number in counts) >= 0.99 * 4 * 50 * 32  # a busy set may refuse
    assert max(number or 0 for number in counts) <= 200


def test_a_frozen_process_holds_up_no_other() -> None:
    table = shared_table.SharedTable(16, exact=True)
    ready, holding = os.pipe()
    if not (child := os.fork()):
        table._hold(0)
        os.write(holding, b"x")
        signal.pause()  # until it is killed
    os.read(ready, 1)
    try:
        assert table.update(0, 2.0, 1.0, lambda value: value + 1) is None
        assert table.update(1, 2.0, 1.0, lambda value: value + 1) == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert table.update(0, 2.0, 1.0, lambda value: value + 1) == 0


def test_a_token_works_once_over_all_workers(stack: Callable[..., Stack]) -> None:
    site = Watched(stack(env=EVERY_VIEW, workers=3))
    token = tokens.issue("/contact/")
    body = orjson.dumps({**ALL, "token": token})
    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lambda _: Sender(site.site)(body), range(120)))
    assert set(answers) == {204}
    assert site.metric("rum_beacons_total", outcome="accepted") == 1
    assert site.metric("rum_beacons_total", outcome="repeated") == 119
    assert site.metric("rum_lcp_seconds_count") == site.metric("rum_js_errors_total") == 1
    wait_for("the row", lambda: len(site.rows()) == 1)


def test_one_post_without_a_token_pages_nobody(stack: Callable[..., Stack]) -> None:
    site = Watched(stack(env=ANY_RATE, workers=2))
    for _ in range(20):
        assert Sender(site.site)(orjson.dumps(ALL), HEADERS) == 204
    for _ in range(20):  # nor does one client with tokens of its own
        assert Sender(site.site)(orjson.dumps({**ALL, "token": tokens.issue("/contact/")}), HEADERS) == 204
    assert site.metric("rum_unverified_total", kind="error") == 60
    assert site.metric("rum_js_errors_total") == 1
    assert site.metric("rum_lcp_seconds_count") == 1
    assert site.metric("telemetry_dropped_total") == 0
