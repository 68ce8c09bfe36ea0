"""The alert rules, judged by promtool and amtool: every alert fires when it must, and stays silent when it must."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

OPS = Path(__file__).resolve().parent.parent / "ops"
RULES = sorted((OPS / "prometheus").glob("*.yml"))
RULE_TESTS = sorted((OPS / "prometheus" / "tests").glob("*.yml"))


def _run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not on PATH: install Debian's prometheus and prometheus-alertmanager")
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


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_it_fires_when_it_must_and_only_then(path: Path) -> None:
    _run("promtool", "test", "rules", str(path))


def test_it_tests_every_alert_firing_and_silent() -> None:
    firing = {case["alertname"] for case in _cases() if case["exp_alerts"]}
    silent = {case["alertname"] for case in _cases() if not case["exp_alerts"]}
    assert firing == silent == set(_alerts())


@pytest.mark.parametrize("name", _alerts())
def test_it_says_symptom_cause_start_and_runbook(name: str) -> None:
    rule = _alerts()[name]
    assert {"symptom", "cause", "start", "runbook"} <= set(rule["annotations"])
    assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
    runbook = (OPS.parent / "docs" / "runbooks" / f"{name}.md").read_text()
    assert runbook.startswith(f"# {name}\n")
    assert "## What to look at" in runbook
    assert "## What to do" in runbook
    assert "keep_firing_for" in rule
