"""What a vital hung on: what is believed of it, what is kept, and what staff read of it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as some

from telemetry.metrics.labels import BoundedLabel
from telemetry.models import RumCause, RumDaily
from telemetry.observe import probe
from telemetry.rum import causes, clients, store, tokens
from telemetry.rum.beacon import Beacon, parse
from telemetry.rum.causes import Cause
from telemetry.rum.models import bucket
from tests.test_rum_ingest import SAFARI, VIEW, rows, send, unlimited  # noqa: F401  # fixtures
from tests.test_rum_trust import count

NAME = "zebedee-quillfeather"
SENT: dict[str, Any] = {
    **VIEW,
    "vitals": {"LCP": 2400, "INP": 310, "CLS": 0.2},
    "causes": {
        "LCP": [f"main>section.{NAME}>img", "", 400, 0, 1700, 300],
        "INP": ["main>form>button.button", "click", 40, 220, 50],
        "CLS": [f"{NAME}>p"],
    },
    "script": ["/static/build/picker.js", "event-listener", 220.5],
    "connection": "4g",
    "memory": 8,
}


def beacon(**changes: Any) -> Beacon:
    return parse(orjson.dumps({**SENT, **changes}))


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No target seen yet."""
    monkeypatch.setattr(causes, "_bounded", BoundedLabel(causes.MOST_TARGETS))


def test_it_keeps_elements_and_classes_of_our_templates_alone() -> None:
    assert causes.selector("main>form>button.button") == "main>form>button.button"
    assert causes.selector(f"main>section.{NAME}>img") == "main>section>img"
    assert causes.selector(f"main>{NAME}>p.lead.{NAME}") in ("main>*>p.lead", "main>*>p")
    assert causes.selector(f"{NAME}>{NAME}.{NAME}") == ""
    assert causes.selector("main#" + NAME + ">p") == "*>p"
    long = causes.selector(">".join(["section"] * 80))
    assert len(long) <= causes.LONGEST
    assert long.endswith("section>section")


@given(some.text(max_size=300))
def test_nothing_else_comes_through(text: str) -> None:
    known = {word.removeprefix(".") for word in causes.words()} | {"*"}
    assert set(re.split(r"[>.]", causes.selector(text))) <= known | {""}


def test_it_reads_the_parts_in_ms_and_the_event() -> None:
    lcp, inp, cls = (each for each in beacon().hung_on() if each.vital != causes.SCRIPT)
    assert lcp == Cause(
        "LCP", "main>section>img", "", 2400, {"ttfb": 400, "load_delay": 0, "load": 1700, "render_delay": 300}
    )
    assert inp.event == "click"
    assert inp.parts == {"input_delay": 40, "processing": 220, "presentation": 50}
    assert (cls.target, cls.event, cls.parts) == ("*>p", "", {})


@pytest.mark.parametrize(
    "sent",
    [{"LCP": 7}, {"LCP": []}, {"LCP": [7]}, {"LCP": [None]}, {"TTFB": ["main"]}, {"FOO": ["main"]}, {}],
)
def test_it_leaves_out_what_has_another_shape(sent: Any) -> None:
    assert [each.vital for each in beacon(causes=sent, script=sent).hung_on()] == []


@pytest.mark.parametrize("times", [[1, 2], [1, 2, 3, "x"], [1, 2, 3, True], [1, 2, 3, -4], [9e9, 0, 0, 0]])
def test_it_leaves_out_impossible_parts(times: list[Any]) -> None:
    [lcp] = beacon(causes={"LCP": ["main", NAME, *times]}, script=None).hung_on()
    assert (lcp.event, lcp.parts) == ("", {})


def test_it_names_scripts_of_ours_alone() -> None:
    def name(path: str, invoker: str = "user-callback") -> list[tuple[str, str]]:
        return [(each.target, each.event) for each in causes.of_script([path, invoker, 60])]

    assert finders.find("js/picker.js")
    assert name("/static/js/picker.js") == [("picker.js", "user-callback")]
    assert name("/static/js/picker.js", NAME) == [("picker.js", "other")]
    for path in (
        f"/static/js/{NAME}.js",
        f"/{NAME}.js",
        "/static/../manage.js",
        "/static/%2e%2e/x.js",
        "\x00.js",
        "/static/" + "x" * 400 + ".js",
        "",
    ):
        assert name(path) == []


def test_the_number_of_targets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "_bounded", BoundedLabel(2))
    found = [causes.of_vitals({"CLS": [tag]}, {"CLS": 1.0}) for tag in ("main", "p", "section", "main")]
    assert [next(each).target for each in found] == ["main", "p", "other", "main"]


def test_it_classes_connection_and_memory() -> None:
    assert causes.environment("4g", 8) == ("4g", "high")
    assert causes.environment("3g", 4) == ("3g", "middle")
    assert causes.environment("slow-2g", 0.5) == ("slow-2g", "low")
    odds: list[Any] = [None, NAME, True, [], -1, 1e9]
    for odd in odds:
        assert causes.environment(odd, odd) == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("agent", "browser"),
    [
        (SAFARI.replace("Safari/604", "Safari/604.1"), ("Safari", "18", "iOS")),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140.0", ("Edge", "140", "Windows")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", ("Firefox", "130", "Linux")),
        ("Mozilla/5.0 (Linux; Android 15) SamsungBrowser/26.0 Chrome/140.0", ("Samsung Internet", "26", "Android")),
        (NAME, ("other", "", "other")),
    ],
)
def test_it_knows_the_family_of_a_browser(agent: str, browser: tuple[str, str, str]) -> None:
    assert clients.browser({"HTTP_USER_AGENT": agent}) == browser


def test_a_client_counts_once_and_only_with_a_token(rows: list[store.Row]) -> None:  # noqa: F811
    send(SENT)
    assert rows == []
    for _ in range(2):
        send({**SENT, "token": tokens.issue("/book/")}, REMOTE_ADDR="192.0.2.77")
    assert [[each.vital for each in row.causes if each.vital != "script"] for row in rows] == [
        ["LCP", "INP", "CLS"],
        [],
    ]


def test_it_counts_page_views_by_how_they_came(rows: list[store.Row]) -> None:  # noqa: F811
    def came(navigation: str) -> float:
        return count("rum_page_views_total", navigation=navigation, browser="Firefox")

    before = [came(each) for each in ("back-forward-cache", "prerender", "other")]
    for navigation in ("back-forward-cache", "prerender", NAME):
        for part in (0, 1):
            said = {**SENT, "navigation": navigation, "part": part, "number": part, "token": tokens.issue("/")}
            send(said, HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux) Firefox/140.0")
    assert [came(each) for each in ("back-forward-cache", "prerender", "other")] == [each + 1 for each in before]


def row(cause: Cause, day: int = 0) -> store.Row:
    received = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=day)
    return store.Row(
        received, "/", "mobile", "navigate", "r", "", 0, None, None, None, None, None, None, 0, (), (cause,)
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("engine", ["postgresql", "another"])
def test_a_day_keeps_sums_and_the_worst_is_what_cost_most(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "another":
        monkeypatch.setattr(probe, "speaks_psycopg", lambda: False)
    parts = {"ttfb": 400.0, "load_delay": 0.0, "load": 1700.0, "render_delay": 300.0}
    slow, quick = Cause("LCP", "main>img", "", 2400, parts), Cause("LCP", "main>p", "", 500, {})
    store.write([row(slow), row(quick), row(quick)])
    store.write([row(slow), row(quick, 7)])
    first = datetime(2026, 3, 1, tzinfo=UTC).date()
    [worst] = RumCause.objects.worst(first, first + timedelta(days=7))
    assert (worst.route, worst.device, worst.vital, worst.target) == ("/", "mobile", "lcp", "main>img")
    assert worst.share == 0.5
    assert worst.value == pytest.approx(2.4)
    assert worst.parts["load"] == pytest.approx(1.7)
    store.purge(datetime(2026, 3, 8, tzinfo=UTC))
    assert RumCause.objects.count() == 1


def test_staff_read_what_to_mend(admin_client: Client) -> None:
    day = timezone.now().astimezone(UTC).date()
    for route, value in (("/slow/", 5.0), ("/quick/", 1.0)):
        RumDaily(day=day, route=route, device="mobile", vital="lcp", bucket=bucket(value), count=9).save(
            force_insert=True
        )
        for part, each in (("", value), ("load", value * 0.8), ("ttfb", value * 0.2)):
            key = {"route": route, "vital": "lcp", "target": "main>section.hero>img", "event": "", "part": part}
            RumCause.objects.create(day=day, device="mobile", count=9, total=9 * each, **key)
    page = admin_client.get("/admin/operations/").content.decode()
    assert page.count("main&gt;section.hero&gt;img") == 1, "what is good needs no mending"
    assert "4.0 s of 5.0 s loading it" in page
    assert "100 %" in page
