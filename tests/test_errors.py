"""Errors as a Sentry server receives them: from the site, its worker, its incidents and its customers' browsers."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from harness.peers.bugsink import Bugsink, Project
from harness.peers.collector import Collector
from harness.stack import Stack, running_stack, wait_for
from telemetry import background, errors
from telemetry.errors import sentry
from telemetry.errors.browser_events import BrowserError
from telemetry.errors.sentry import BURST
from tests.broken import CANARY
from tests.conftest import copied_database
from tests.load import cpu_seconds, hammer

Start = Callable[..., Stack]


def environment(project: Project, collector: Collector | None = None) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "tests.broken.settings",
        "RELEASE": "r7",
        "SENTRY_DSN": project.dsn,
        "SENTRY_ENVIRONMENT": "drill",
        **(collector.environment if collector else {}),
    }


def site_with(stack: Start, project: Project, collector: Collector | None = None, **options: Any) -> Stack:
    return stack(env=environment(project, collector), **options)


@pytest.fixture
def reporting(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Reporting switched on in this process."""
    monkeypatch.setenv("SENTRY_DSN", project.dsn)
    sentry.start("r7", "drill")
    yield project
    errors.stop()


def test_it_tells_one_story_of_a_view_that_raises(stack: Start, project: Project, collector: Collector) -> None:
    site = site_with(stack, project, collector)
    status, page = site.get("/broken/raise/taps/")
    assert status == 500
    [event] = project.wait_for_events()
    site.stop()
    assert len(project.events()) == 1
    [issue] = project.issues()
    assert (issue["calculated_type"], issue["calculated_value"]) == ("RuntimeError", "the page about … broke")
    assert (event["release"], event["environment"], event["transaction"]) == ("r7", "drill", "/broken/raise/<what>/")
    assert event["server_name"]
    [server] = collector.named("GET /broken/raise/<what>/")
    assert server.failed
    assert server.attributes["error.type"] == "RuntimeError"
    tags = event["tags"]
    assert tags["trace_id"] == event["contexts"]["trace"]["trace_id"] == server.trace_id
    assert tags["request_id"] == server.attributes["request.id"]
    assert tags["request_id"] in page
    lines = [line for line in site.log_events() if line.get("request_id") == tags["request_id"]]
    assert {line["trace_id"] for line in lines} == {server.trace_id}
    assert len([line for line in lines if "exception" in line]) == 1
    frame = event["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert (frame["module"], frame["function"], frame["in_app"]) == ("tests.broken.views", "raises", True)


def test_no_personal_data_leaves_with_an_error_or_a_span(stack: Start, project: Project, collector: Collector) -> None:
    site = site_with(stack, project, collector, worker=True)
    query = f"/broken/canary/?name={CANARY[0].replace(' ', '+')}&token={CANARY[4]}"
    headers = {"Cookie": f"session={CANARY[4]}", "User-Agent": CANARY[0], "X-Forwarded-For": "203.0.113.77"}
    assert site.get(query, headers=headers)[0] == 500
    assert site.get("/broken/log/")[0] == 200
    assert site.get("/broken/defer/broken/")[0] == 200
    events = project.wait_for_events(3)
    wait_for("the task's span", lambda: collector.named("broken_task"))
    site.stop()
    assert len(project.events()) == 3
    chain = next(event for event in events if event["transaction"] == "/broken/canary/")["exception"]["values"]
    assert [value["type"] for value in chain] == ["ValueError", "KeyError"]
    everything = json.dumps(events) + "".join(collector.text)
    for secret in (*CANARY, "203.0.113.77"):
        assert secret not in everything
    assert not {"request", "user", "modules"} & set().union(*events)
    assert "vars" not in json.dumps(events)


@dataclass(frozen=True)
class Reported:
    """A site that several tests share, and what it has reported."""

    site: Stack
    project: Project

    def wait_for(self, transaction: str) -> dict[str, Any]:
        """The one event of that route or task. A later one of the same process has passed, so no second will come."""

        def events(wanted: str) -> list[dict[str, Any]]:
            return [event for event in self.project.events() if event.get("transaction") == wanted]

        wait_for(f"an event of {transaction}", lambda: events(transaction))
        marker = len(events("/broken/raise/<what>/"))
        self.site.get("/broken/raise/marker/")
        wait_for("the marker", lambda: len(events("/broken/raise/<what>/")) > marker or marker >= BURST)
        [event] = events(transaction)
        return event


@pytest.fixture(scope="module")
def reported(
    demo_template: str, static_files: None, bugsink: Bugsink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reported]:
    project = bugsink.project("shared")
    directory = tmp_path_factory.mktemp("reported")
    with (
        copied_database(demo_template) as url,
        running_stack(directory, url, environment(project), worker=True) as site,
    ):
        yield Reported(site, project)


def test_it_reports_an_error_line_once_and_only_its_bounded_words(reported: Reported) -> None:
    reported.site.get("/broken/log/")
    event = reported.wait_for("/broken/log/")
    assert event["logentry"]["message"] == "stock_ran_out"
    assert event["extra"] == {"kind": "screws"}


def test_it_reports_an_error_that_a_view_turned_into_an_answer(reported: Reported) -> None:
    assert reported.site.get("/broken/handled/")[0] == 502
    [value] = reported.wait_for("/broken/handled/")["exception"]["values"]
    assert (value["value"], value["mechanism"]["handled"]) == ("the payment was refused", True)


def test_an_outage_of_the_database_is_a_page_and_a_report(reported: Reported) -> None:
    with pytest.raises(HTTPError) as answer:
        urlopen(reported.site.url + "/broken/outage/")
    assert (answer.value.code, answer.value.headers["Retry-After"]) == (503, "30")
    assert "Ring 0" in answer.value.read().decode()
    assert reported.wait_for("/broken/outage/")["exception"]["values"][-1]["type"] == "OperationalError"


def test_it_reports_a_task_that_fails_with_who_deferred_it(reported: Reported) -> None:
    reported.site.get("/broken/defer/broken/")
    event = reported.wait_for("broken_task")
    [line] = [one for one in reported.site.log_events("request_finished") if one["route"] == "/broken/defer/<task>/"]
    assert event["tags"]["request_id"] == line["request_id"]
    assert event["exception"]["values"][-1]["value"] == "no parts for …"


def test_a_server_without_monitors_takes_the_rest(reporting: Project) -> None:
    """Bugsink skips check-ins and sessions: the envelope they come in is taken all the same, and so is the error."""
    with pytest.raises(LookupError), background.running("shop.sweep", {}, system="queue", schedule="0 3 * * *"):
        raise LookupError
    errors.session("crashed")
    errors.stop()
    [event] = reporting.wait_for_events()
    assert event["exception"]["values"][0]["type"] == "LookupError"


def test_an_incident_is_one_issue_titled_with_its_sentence(reporting: Project) -> None:
    sentence = "The database pool is exhausted because of high latency in the SELECT bookings_booking query."
    for number in range(5):
        errors.incident(sentence, kind="pool_exhausted", culprit="SELECT bookings_booking", id_=str(number))
    errors.incident("The database is gone.", kind="database_down", culprit="postgresql", id_="other")
    reporting.wait_for_events(4)
    titles = sorted(issue["calculated_value"] for issue in reporting.issues())
    assert titles == ["The database is gone.", sentence]


def test_it_sends_a_browsers_error_with_its_own_stack_and_trace(reporting: Project) -> None:
    errors.browser(
        BrowserError(
            name="TypeError",
            message="no reply to morgan@example.com",
            stack="TypeError: x\n    at pick (http://127.0.0.1:8000/static/build/book.js?v=1:12:34)",
            route="/book/<slug>/",
            release="r6",
            trace_id="a" * 32,
            span_id="b" * 16,
            origin="http://127.0.0.1:8000",
            browser="Firefox",
            version="130",
            system="Linux",
            at=time.time() - 60,
        )
    )
    [event] = reporting.wait_for_events()
    assert (event["platform"], event["release"], event["transaction"]) == ("javascript", "r6", "/book/<slug>/")
    assert event["contexts"]["trace"]["trace_id"] == event["tags"]["trace_id"] == "a" * 32
    [value] = event["exception"]["values"]
    assert value["value"] == "no reply to [e-mail]"
    [frame] = value["stacktrace"]["frames"]
    assert (frame["filename"], frame["function"], frame["lineno"]) == ("/static/build/book.js", "pick", 12)
    assert frame["abs_path"] == "http://127.0.0.1:8000/static/build/book.js"
    assert event["contexts"]["browser"] == {"name": "Firefox", "version": "130"}
    assert event["contexts"]["os"] == {"name": "Linux"}
    assert event["request"] == {"url": "http://127.0.0.1:8000/book/<slug>/"}
    assert 55 < time.time() - event["timestamp"] < 120
    assert not event.get("server_name")


def test_a_failing_report_never_fails_its_caller(reporting: Project) -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    try:
        raise Hostile
    except Hostile as error:
        errors.capture(error)
    hostile = BrowserError(*("\x00" * 70_000,) * 5)
    threads = [threading.Thread(target=errors.browser, args=(hostile,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reporting.wait_for_events()


def test_it_counts_what_never_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses connections: the caller is not told, the counter is."""
    monkeypatch.setenv("SENTRY_DSN", "http://key@127.0.0.1:9/1")
    sentry.start("r7", "drill")
    before = _dropped("network_error")
    errors.incident("A sentence.", kind="k", culprit="c", id_="1")
    wait_for("the drop to be counted", lambda: _dropped("network_error") > before)
    errors.stop()


def _dropped(reason: str) -> float:
    from telemetry.metrics import catalogue

    value: float = catalogue.telemetry_dropped.labels("sentry", reason)._value.get()
    return value


def test_a_storm_of_errors_costs_little_and_is_counted(stack: Start, project: Project) -> None:
    loud = site_with(stack, project, workers=2)
    quiet = stack(env={"DJANGO_SETTINGS_MODULE": "tests.broken.settings"}, workers=2)
    for site in (loud, quiet):
        hammer(f"{site.url}/broken/fine/warm/", 50)
    before = [cpu_seconds(site) for site in (loud, quiet)]
    for _ in range(4):
        statuses, _ = hammer(f"{loud.url}/broken/raise/storm/", 500)
        assert statuses == [500] * 500
        hammer(f"{quiet.url}/broken/raise/storm/", 500)
    spent = [cpu_seconds(site) - start for site, start in zip((loud, quiet), before, strict=True)]
    assert spent[0] <= 2 * spent[1], f"{spent[0]:.2f} s CPU with Sentry, {spent[1]:.2f} s without"
    held_back = wait_for(
        "the counter", lambda: _scraped(loud, 'telemetry_dropped_total{pipeline="sentry",reason="rate_limited"}')
    )
    # That a page fails so often is an incident, and one issue of its own.
    [issue] = [each for each in project.issues() if "because of" not in each["calculated_value"]]
    assert issue["digested_event_count"] + held_back == 2000


def _scraped(site: Stack, series: str) -> float:
    _, text = site.get(site.metrics_url)
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(series)), 0.0)
