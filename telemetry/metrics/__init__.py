"""Declare metrics: `metrics.counter`, `metrics.gauge`, `metrics.histogram`.

Declare each once, at the top of a module that is imported when the application starts. Under several web workers the
values of all of them are added up. While telemetry is off, what is returned takes every call and does nothing.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from telemetry.conf import conf
from telemetry.metrics.labels import BoundedLabel

if TYPE_CHECKING:  # the arbiter of a server with several workers imports this before it has said where the files are
    from prometheus_client import Counter, Gauge, Histogram

__all__ = ["BoundedLabel", "Declared", "Null", "counter", "gauge", "histogram", "registered"]

MOST = 1000
"""Distinct values of each label of a metric."""


class Declared(NamedTuple):
    """A metric as it was declared. `kind`: "counter", "gauge" or "histogram"."""

    kind: str
    labels: tuple[str, ...]
    text: str


class Null:
    """Takes every call of a metric and does nothing."""

    def labels(self, *_values: Any, **_labels: Any) -> "Null":
        return self

    def _nothing(self, *_args: Any, **_kwargs: Any) -> None: ...

    inc = dec = set = observe = remove = clear = _nothing


_declared: dict[str, Declared] = {}


def registered() -> dict[str, Declared]:
    """Every metric that was declared, by name."""
    return dict(_declared)


def counter(
    name: str, text: str, labels: tuple[str, ...] = (), *, most: int = MOST, known: Iterable[tuple[str, ...]] = ()
) -> "Counter":
    """A count that only grows; its name ends with `_total`. `most` distinct values of each label, then "other".

    `known`: values of the labels that are there with 0 from the start, so that the first event is an increase.
    """
    metric: Counter = _declare("counter", name, text, labels, most)
    for values in known:
        metric.labels(*values)
    return metric


def gauge(name: str, text: str, labels: tuple[str, ...] = (), *, mode: str = "livesum", most: int = MOST) -> "Gauge":
    """A value that is set. `mode` says how the values of several workers become one (prometheus_client's words)."""
    metric: Gauge = _declare("gauge", name, text, labels, most, multiprocess_mode=mode)
    return metric


def histogram(
    name: str, text: str, edges: tuple[float, ...], labels: tuple[str, ...] = (), *, most: int = MOST
) -> "Histogram":
    """A distribution over buckets that end at `edges`, in the unit of the name."""
    metric: Histogram = _declare("histogram", name, text, labels, most, buckets=edges)
    return metric


def _declare(kind: str, name: str, text: str, labels: tuple[str, ...], most: int, **options: Any) -> Any:
    _declared[name] = Declared(kind, labels, text)
    if not conf.enabled:
        return Null()
    from telemetry.metrics import prometheus

    return prometheus.declare(kind, name, text, labels, [BoundedLabel(most) for _ in labels], options)
