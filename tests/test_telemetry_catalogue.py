"""docs/telemetry.md and the code name the same metrics, events and spans."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from harness.stack import BASE_DIR
from telemetry import events, metrics
from telemetry.conf import conf
from telemetry.metrics.requests import RequestMetrics

CATALOGUE = (BASE_DIR / "docs" / "telemetry.md").read_text()
LOGGED = {"debug", "info", "warning", "error", "exception", "critical", "_open", "_close", "say"}
TRANSLATED = {"start_worker", "stopping_worker", "stop_worker", "jobs_deferred"}
"""Names that procrastinate gave, which its records carry as `action`."""


def section(title: str) -> str:
    """The part of the page under a heading of the second level."""
    return CATALOGUE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> set[str]:
    """The code words of the first cell of each row."""
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def calls(*packages: str) -> Iterator[tuple[Path, str, ast.Call]]:
    """Every call in these packages, with the name of what is called."""
    for package in packages:
        for path in (BASE_DIR / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    yield path, name, node


def test_it_lists_every_metric_with_its_labels() -> None:
    RequestMetrics.get_instance()  # made with the first request
    declared = {
        name: (metric.kind, ", ".join(f"`{label}`" for label in metric.labels))
        for name, metric in metrics.registered().items()
    }
    listed = {}
    for line in section("Metrics").splitlines():
        if line.startswith("| `"):
            name, kind, labels, _meaning = (cell.strip() for cell in line.strip("|").split("|"))
            listed[name.strip("`")] = (kind, labels)
    assert listed == declared


def test_it_lists_every_event() -> None:
    written = {
        constant.value
        for _path, name, node in calls("telemetry", "xfhandyman")
        if name in LOGGED
        for argument in node.args
        for constant in _results(argument)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
        if re.fullmatch(r"[a-z]+(_[a-z]+)+", constant.value)
    }
    published = set(events.registered())
    assigned = {"request_rejected"}  # in logging.py, in place of Django's message
    assert first_cells(section("Log events")) == written | published | assigned | TRANSLATED


def _results(argument: ast.expr) -> list[ast.expr]:
    """What an argument may come to: both arms of a conditional expression, or itself."""
    return [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]


def test_it_lists_every_span() -> None:
    written = {
        node.args[0].value
        for _path, name, node in calls("telemetry", "xfhandyman")
        if name in ("span", "record", "record_remote") and node.args
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }
    listed = first_cells(section("Spans"))
    assert written <= listed
    assert {name for name in listed if re.fullmatch(r"[a-z]+(\.[a-z]+)+", name)} == written


def test_the_readme_lists_every_setting() -> None:
    table = (BASE_DIR / "telemetry" / "README.md").read_text().split("\n## Settings\n")[1].split("\n## ")[0]
    assert first_cells(table) == {setting.key for setting in conf.describe()}
