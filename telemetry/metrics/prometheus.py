"""prometheus_client behind `telemetry.metrics`: imported with the first metric, after the files' place is known."""

from typing import Any

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from telemetry.metrics import exemplars, files
from telemetry.metrics.labels import BoundedLabel

files.install()
exemplars.install()
disable_created_metrics()  # a second series for each, which nobody asks for


class _Bounded:
    """Puts "other" in the place of label values beyond what was declared."""

    bounds: tuple[tuple[str, BoundedLabel], ...]

    def labels(self, *values: Any, **named: Any) -> Any:
        given = values or tuple(named[name] for name, _ in self.bounds)
        bounded = [bound(str(value)) for (_, bound), value in zip(self.bounds, given, strict=True)]
        return super().labels(*bounded)  # type: ignore[misc]  # of the class beside it


class _Counter(_Bounded, Counter): ...


class _Gauge(_Bounded, Gauge): ...


class _Histogram(_Bounded, Histogram): ...


_KINDS: dict[str, type[Any]] = {"counter": _Counter, "gauge": _Gauge, "histogram": _Histogram}


def declare(
    kind: str, name: str, text: str, labels: tuple[str, ...], bounds: list[BoundedLabel], options: dict[str, Any]
) -> Any:
    """A metric of prometheus_client, whose labels take a bounded number of values."""
    metric = _KINDS[kind](name, text, labels, **options)
    metric.bounds = tuple(zip(labels, bounds, strict=True))
    return metric
