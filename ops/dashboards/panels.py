"""What a dashboard is made of here: titled rows of time series, each asking Prometheus one or more questions."""

from typing import NamedTuple

from grafana_foundation_sdk.builders import common, prometheus, timeseries
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${source}")


class Panel(NamedTuple):
    """One chart. `queries`: legend template → PromQL. `limits`: values that deserve a line (good, poor)."""

    title: str
    unit: str
    queries: dict[str, str]
    limits: tuple[float, ...] = ()
    stacked: bool = False
    description: str = ""


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
    )
    for title, panels in page.rows.items():
        builder = builder.with_row(board.Row(title))
        for panel in panels:
            builder = builder.with_panel(_chart(panel, span=24 // min(len(panels), 3)))
    return builder.build()


def _chart(panel: Panel, span: int) -> timeseries.Panel:
    chart = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .min(0)
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
    for legend, expression in panel.queries.items():
        chart = chart.with_target(prometheus.Dataquery().expr(expression).legend_format(legend))
    return chart
