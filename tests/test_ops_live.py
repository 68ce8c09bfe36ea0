"""Every question of every panel and alert, asked of a real Prometheus that watches the real site under load."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page

from ops.dashboards.pages import PAGES
from ops.drills.customers import Customers
from ops.watch import OPS, NotInstalledError, Watch, watching
from tests.stack import Stack, free_port, wait_for

# Nothing to show while all is well; the drills and the rule tests prove that these return data when it is not.
QUIET = {
    "Errors by route",
    "Refused bookings by reason",
    "Cancellations",
    "Contact forms",
    "JavaScript errors",
    "Dropped",
    "Oldest running query",
    "Dependencies up",
    "INP p75",
    "Fetch latency p75",
}


def test_it_answers_every_question_about_a_site_under_load(
    stack: Callable[..., Stack], tmp_path: Path, page: Page
) -> None:
    worker = free_port()
    site = stack(env={"WORKER_METRICS_PORT": str(worker), "RUM_COUNT_AUTOMATION": "true"}, workers=2, worker=True)
    targets = {"web": site.metrics_url.split("/")[2], "worker": f"127.0.0.1:{worker}"}
    try:
        with watching(tmp_path / "watch", targets, interval="1s") as watch, Customers(site.url, pause=0.1) as customers:
            for path in ("/", "/services/", "/contact/", "/"):
                page.goto(site.url + path)
            wait_for("a booking", lambda: customers.book() == 302 or _booked(watch), 20)
            ends = time.monotonic() + 45
            while (empty := _empty(watch)) and time.monotonic() < ends:
                time.sleep(1)
            assert not empty
            for name, expression in _rules():
                watch.query(expression)  # raises on an error
                assert name
            assert not watch.firing()
            assert not watch.messages
    except NotInstalledError as error:
        pytest.skip(str(error))


def _booked(watch: Watch) -> bool:
    return bool(watch.query("sum(bookings_created_total) > 0"))


def _empty(watch: Watch) -> list[str]:
    """The panels' questions that get no answer, though the panel is not one that may be quiet."""
    return [
        f"{panel.title}: {expression}"
        for page in PAGES
        for panels in page.rows.values()
        for panel in panels
        if panel.title not in QUIET
        for expression in panel.queries.values()
        if not watch.query(expression)
    ]


def _rules() -> list[tuple[str, str]]:
    return [
        (rule.get("alert") or rule["record"], rule["expr"])
        for path in sorted((OPS / "prometheus").glob("*.yml"))
        for group in yaml.safe_load(path.read_text()).get("groups", [])
        for rule in group["rules"]
    ]
