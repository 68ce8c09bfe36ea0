"""The alert rules, judged by promtool and amtool: every alert fires when it must, and stays silent when it must."""

import ast
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import vmalert
from ops.dashboards.pages import PAGES
from telemetry.diagnosis.runbook import ANY, BY_CAUSE, BY_SYMPTOM

OPS = Path(__file__).resolve().parent.parent / "ops"
RULES = sorted((OPS / "prometheus").glob("*.yml"))
RUNBOOKS = sorted((OPS.parent / "docs" / "runbooks").glob("*.md"))
RULE_TESTS = sorted((OPS / "prometheus" / "tests").glob("*.yml"))


def _run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not on PATH: make tools")
    done = subprocess.run(command, cwd=OPS, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def _alerts() -> dict[str, dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text()).get("groups", [])]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def _cases() -> list[dict[str, Any]]:
    tests = [test for path in RULE_TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    return [case for test in tests for case in test["alert_rule_test"]]


def test_it_has_a_valid_prometheus_configuration() -> None:
    _run("promtool", "check", "config", "prometheus/prometheus.yml")


def test_it_has_a_valid_alertmanager_configuration() -> None:
    _run("amtool", "check-config", "alertmanager/alertmanager.yml")


def test_vmalert_loads_every_rule(tmp_path: Path) -> None:
    vmalert.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in RULES} - {"prometheus.yml"}
    _run("vmalert", "-dryRun", f"-rule={tmp_path}/*.yml")


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_it_fires_when_it_must_and_only_then(path: Path) -> None:
    _run("promtool", "test", "rules", str(path))


def test_it_tests_every_alert_firing_and_silent() -> None:
    firing = {case["alertname"] for case in _cases() if case["exp_alerts"]}
    silent = {case["alertname"] for case in _cases() if not case["exp_alerts"]}
    assert firing == silent == set(_alerts())


@pytest.mark.parametrize("name", _alerts())
def test_it_has_a_summary_a_description_and_a_runbook(name: str) -> None:
    rule = _alerts()[name]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert "because of" in rule["annotations"]["summary"] or "$labels.summary" in rule["annotations"]["summary"]
    assert "keep_firing_for" in rule
    if name != "Incident":  # whose page the incident itself names
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        assert name in {path.stem for path in RUNBOOKS}


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_says_what_to_look_at_and_what_to_do(path: Path) -> None:
    page = path.read_text()
    assert page.startswith(f"# {path.stem}\n")
    assert "## What to look at" in page
    assert "## What to do" in page


def _named(what: str) -> set[str]:
    """The kinds that the diagnosis gives its symptoms or causes, wherever it makes one."""
    calls = [
        node
        for path in (OPS.parent / "telemetry" / "diagnosis").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == what
    ]
    first = [each.args[0] for each in calls if each.args]
    return {str(each.value) for each in first if isinstance(each, ast.Constant)}


def test_every_incident_has_its_runbook() -> None:
    symptoms, causes = {*_named("Symptom"), *BY_SYMPTOM}, {*_named("Cause"), *BY_CAUSE} - {"unknown"}
    assert len(symptoms) > 5
    assert symptoms <= set(BY_SYMPTOM)
    assert causes <= set(BY_CAUSE)
    pages = {path.stem for path in RUNBOOKS}
    assert {*BY_SYMPTOM.values(), *BY_CAUSE.values(), ANY} <= pages
    assert pages <= {*BY_SYMPTOM.values(), *BY_CAUSE.values(), *_alerts()}, "a page that nothing leads to"


def test_every_recorded_series_is_read() -> None:
    rules = [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text()).get("groups", [])
        for rule in group["rules"]
    ]
    panels = [panel for page in PAGES for panels in page.rows.values() for panel in panels]
    readers = [(rule.get("record"), yaml.safe_dump(rule)) for rule in rules]
    readers += [(None, expression) for panel in panels for expression in panel.queries.values()]
    for rule in rules:
        if name := rule.get("record"):
            assert any(name in text for by, text in readers if by != name), name
