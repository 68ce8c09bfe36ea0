"""What a dashboard is made of here: titled rows of time series, each asking Prometheus one or more questions.

Each chart leads on: to traces and log lines of the series and the time that were clicked, and to Sentry's issues.
"""

import json
import string
from itertools import count
from typing import NamedTuple
from urllib.parse import quote

from grafana_foundation_sdk.builders import common, prometheus, timeseries
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

LEADS = {
    "route": ("span.http.route", "route"),
    "query": ("span.db.query.summary", "query"),
    "task": ("name", "task"),
}
"""Label of a series → by what its spans and its log lines are found."""
DEPLOYS = "count by (version) (app_info) unless count by (version) (app_info offset 2m)"
INCIDENTS = "max by (symptom, cause, route, summary) (incident_started_timestamp_seconds > 0)"
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${source}")


class Panel(NamedTuple):
    """One chart. `queries`: legend template → PromQL. `limits`: values that deserve a line (good, poor)."""

    title: str
    unit: str
    queries: dict[str, str]
    limits: tuple[float, ...] = ()
    stacked: bool = False
    description: str = ""
    floor: float | None = 0
    """Where the axis begins; None is wherever the values do."""


class Dashboard(NamedTuple):
    """A page of charts by row title."""

    uid: str
    title: str
    rows: dict[str, list[Panel]]


def build(page: Dashboard) -> models.Dashboard:
    """The page in Grafana's own model."""
    builder = (
        board.Dashboard(page.title)
        .uid(page.uid)
        .tags(["xfhandyman"])
        .timezone("browser")
        .refresh("30s")
        .time("now-3h", "now")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(board.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(board.DatasourceVariable("tempo").label("Tempo").type("tempo"))
        .with_variable(board.DatasourceVariable("loki").label("Loki").type("loki"))
        .with_variable(board.TextBoxVariable("sentry").label("Sentry").default_value("https://sentry.example"))
        .annotation(_annotation("Deploys", DEPLOYS, "blue"))
        .annotation(_annotation("Incidents", INCIDENTS, "red"))
    )
    ids = count(1)
    for title, panels in page.rows.items():
        builder = builder.with_row(board.Row(title).id(next(ids)))
        for panel in panels:
            builder = builder.with_panel(_chart(panel, next(ids), span=24 // min(len(panels), 3)))
    return builder.build()


def _annotation(name: str, expression: str, colour: str) -> board.AnnotationQuery:
    return board.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expression)


def _chart(panel: Panel, number: int, span: int) -> timeseries.Panel:
    chart = (
        timeseries.Panel()
        .id(number)
        .data_links(_links(panel))
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .span(span)
        .height(8)
        .fill_opacity(20 if panel.stacked else 0)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
    )
    if panel.floor is not None:
        chart = chart.min(panel.floor)
    if panel.stacked:
        chart = chart.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if panel.limits:
        colours = ["green", "yellow", "red"]
        steps = [
            models.Threshold(value=limit, color=colour)
            for limit, colour in zip((None, *panel.limits), colours, strict=False)
        ]
        chart = chart.thresholds(
            board.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
        ).thresholds_style(common.GraphThresholdsStyleConfig().mode(common_models.GraphTresholdsStyleMode.DASHED))
    for letter, (legend, expression) in zip(string.ascii_uppercase, panel.queries.items(), strict=False):
        chart = chart.with_target(
            prometheus.Dataquery()
            .ref_id(letter)
            .expr(expression)
            .legend_format(legend)
            .exemplar("_bucket" in expression)
            .range()
        )
    return chart


def _links(panel: Panel) -> list[cog.Builder[models.DashboardLink]]:
    """To traces, log lines and issues: those of the series that was clicked, where a label of it says which."""
    label = next((label for label in LEADS if any(f"{{{{{label}}}}}" in legend for legend in panel.queries)), "")
    spans, lines, issues = "{ }", '{service_name=~"xfhandyman.*"} | json', "is:unresolved"
    if label:
        value, (span, field) = f"${{__field.labels.{label}}}", LEADS[label]
        spans, lines = f'{{ {span} = "{value}" }}', f"{lines} | {field}=`{value}`"
        issues = f'{issues} transaction:"{value}"' if label != "query" else issues
    found = {
        "Traces": _explore("tempo", {"queryType": "traceql", "query": spans}),
        "Log lines": _explore("loki", {"expr": lines}),
        "Issues": f"${{sentry}}/issues/?query={quote(issues, safe='${}')}",
    }
    return [
        board.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).target_blank(True)
        for title, url in found.items()
    ]


def _explore(source: str, query: dict[str, str]) -> str:
    """The address of Grafana's Explore for a query of the time that is shown."""
    asked = {"refId": "A", "datasource": {"type": source, "uid": f"${{{source}}}"}, **query}
    pane = {"datasource": f"${{{source}}}", "queries": [asked], "range": {"from": "${__from}", "to": "${__to}"}}
    return f"/explore?schemaVersion=1&orgId=1&panes={quote(json.dumps({'a': pane}), safe='${}')}"
