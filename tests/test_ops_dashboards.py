"""The dashboards' JSON is what their code says, and asks only for metrics that exist."""

import json
import re

import pytest
import yaml
from prometheus_client import REGISTRY

from ops.dashboards.__main__ import rendered
from ops.dashboards.pages import PAGES
from ops.watch import OPS
from telemetry.metrics import catalogue  # noqa: F401  # importing it registers every metric

SCRAPED = {"up", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling"}
EXPRESSIONS = [
    expression
    for page in PAGES
    for panels in page.rows.values()
    for panel in panels
    for expression in panel.queries.values()
]


def _known() -> set[str]:
    exposed = {name for names in REGISTRY._collector_to_names.values() for name in names}
    recorded = {
        rule["record"]
        for name in ("recording", "slo")
        for group in yaml.safe_load((OPS / "prometheus" / f"{name}.yml").read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    return exposed | recorded | SCRAPED


def test_it_has_current_json_for_every_dashboard() -> None:
    for path, text in rendered().items():
        assert path.exists(), "make dashboards"
        assert path.read_text() == text, f"{path.name} is not current: make dashboards"
        assert json.loads(text)["panels"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_asks_only_for_metrics_that_exist(expression: str) -> None:
    bare = re.sub(r"by \([^)]*\)|\{[^}]*\}|\[[^]]*\]", " ", expression)
    names = {name for name in re.findall(r"[a-z][\w:]*", bare) if "_" in name or ":" in name or name == "up"}
    assert names - {"histogram_quantile"} <= _known()
