"""The dashboards' JSON is what their code says, and asks only for metrics that exist."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from prometheus_client import REGISTRY

from ops.dashboards.__main__ import rendered
from ops.dashboards.pages import NOT_SHOWN, PAGES
from ops.watch import OPS
from telemetry import metrics
from telemetry.metrics import catalogue  # noqa: F401  # importing it registers every metric
from telemetry.metrics.requests import RequestMetrics

SCRAPED = {"up", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling"}
EXPRESSIONS = [
    expression
    for page in PAGES
    for panels in page.rows.values()
    for panel in panels
    for expression in panel.queries.values()
]


def _known() -> set[str]:
    RequestMetrics.get_instance()  # made with the first request
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
    assert names - {"histogram_quantile", "avg_over_time"} <= _known()


def test_every_metric_is_on_a_panel_or_listed_as_not() -> None:
    RequestMetrics.get_instance()  # made with the first request
    asked = " ".join(EXPRESSIONS)
    recorded = " ".join((OPS / "prometheus" / f"{name}.yml").read_text() for name in ("recording", "slo"))
    shown = {
        name for name in metrics.registered() if re.search(rf"\b{name}(_bucket|_count|_sum)?\b", f"{asked} {recorded}")
    }
    assert set(metrics.registered()) - shown == set(NOT_SHOWN)


@pytest.mark.parametrize("path", rendered(), ids=lambda path: path.stem)
def test_every_chart_has_its_place_and_leads_on(path: Path) -> None:
    board = json.loads(path.read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {each["name"] for each in board["annotations"]["list"]} == {"Deploys", "Incidents"}
    assert {each["name"] for each in board["templating"]["list"]} == {"source", "tempo", "loki", "sentry"}
    for panel in panels:
        if panel["type"] == "row":
            continue
        defaults, targets = panel["fieldConfig"]["defaults"], panel["targets"]
        assert defaults["unit"]
        assert [target["refId"] for target in targets] == list("ABCDEFG"[: len(targets)])
        assert all(target["exemplar"] for target in targets if "_bucket" in target["expr"])
        assert [link["title"] for link in defaults["links"]] == ["Traces", "Log lines", "Issues"]
        for link in defaults["links"]:
            _, _, query = unquote(link["url"]).partition("panes=")
            assert not query or json.loads(query)["a"]["queries"][0]["refId"] == "A"
