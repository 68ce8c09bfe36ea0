"""Every question of every panel and rule, asked of a real Prometheus that watches the real site: well, and in trouble.

And one fault whose sentence must reach a receiver through Prometheus and Alertmanager: a lock on a table.
"""

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from datetime import time as clock
from pathlib import Path

import pytest
import yaml

from harness.stack import wait_for
from ops.dashboards.pages import PAGES
from ops.drills import database
from ops.drills.customers import customer
from ops.drills.scene import Scene, staged, watched
from ops.watch import OPS, NotInstalledError, Watch

pytestmark = [pytest.mark.timeout(480), pytest.mark.waits]
SECONDS = 120
"""For what takes a quarter of it on a machine with nothing else to do."""

IN_TROUBLE = {"Errors by route", "Oldest running query", "Dropped", "Clients with JavaScript errors"}
"""Panels with nothing to show while all is well."""

RULES_IN_TROUBLE = {
    "incident_started_timestamp_seconds",
    "tickets_open",
    'http_requests_total{status=~"5.."}',
    "telemetry_dropped_total",
    "rum_js_errors_total",
    "db_query_oldest_seconds",
    'stripe_call_seconds_count{outcome!="ok"}',
    'rate_limits_total{whose="everybody"}',
}
"""What rules count that does not exist until it happens for the first time; promtool's tests make it."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="xfd", ignore_cleanup_errors=True) as directory:
        try:
            with staged(Path(directory)) as scene, watched(scene):
                yield scene
        except NotInstalledError as error:
            pytest.skip(str(error))


def test_it_answers_every_question_about_a_site_under_load(scene: Scene) -> None:
    _until_none(lambda: _empty(scene) - IN_TROUBLE)
    for expression in _expressions():
        _watch(scene).query(expression)  # raises when Prometheus does not understand it


def test_it_has_every_series_that_rules_ask_for(scene: Scene) -> None:
    wanted = {one for expression in _expressions() for one in _selectors(expression)} - RULES_IN_TROUBLE
    assert len(wanted) > 10
    _until_none(lambda: {one for one in wanted if not _watch(scene).query(one)})


@pytest.mark.timing
def test_it_notifies_the_cause_of_a_lock_and_shows_the_trouble(scene: Scene) -> None:
    messages = _watch(scene).messages
    with customer() as session:
        scene.customers.visit(session, "/contact/", fails=True)
    with database.locked("bookings_booking")(scene):
        injected = time.time()
        said = wait_for("the sentence", lambda: [one for one in messages if one.alert == "Incident"], SECONDS)
    sentence = said[0].sentence
    assert "because of high latency in the `SELECT bookings_booking` query starting at " in sentence
    assert said[0].runbook == "docs/runbooks/DatabaseQuerySlow.md"
    started = datetime.strptime(sentence[-13:-5], "%H:%M:%S").replace(tzinfo=UTC).time()
    assert abs(_of_day(started) - _of_day(datetime.fromtimestamp(injected, UTC).time())) <= 15, sentence
    scene.sentry.stop()
    with customer() as session:
        scene.customers.visit(session, "/", fails=True)
    _until_none(lambda: _empty(scene))


def _of_day(moment: clock) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _watch(scene: Scene) -> Watch:
    assert scene.watch is not None
    return scene.watch


def _until_none(missing: Callable[[], set[str]]) -> None:
    """Wait until nothing is missing; fails with what still is."""
    deadline = time.monotonic() + SECONDS
    while (left := missing()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == set()


def _empty(scene: Scene) -> set[str]:
    """The panels with a question that gets no answer."""
    return {
        panel.title
        for page in PAGES
        for panels in page.rows.values()
        for panel in panels
        if any(not _watch(scene).query(expression) for expression in panel.queries.values())
    }


def _expressions() -> list[str]:
    return [
        rule["expr"]
        for path in sorted((OPS / "prometheus").glob("*.yml"))
        for group in yaml.safe_load(path.read_text()).get("groups", [])
        for rule in group["rules"]
    ]


def _selectors(expression: str) -> set[str]:
    """The metrics of the site an expression asks for, with their matchers; those of recording rules come from these."""
    bare = re.sub(r"#.*|(by|on|group_left) \([^)]*\)|\w+:[\w:]+(\{[^}]*\})?", " ", expression)
    return {
        name + matchers for name, matchers in re.findall(r"(?<![:\w])([a-z]\w*_\w+|up)(\{[^}]*\})?(?![\w:(])", bare)
    }
