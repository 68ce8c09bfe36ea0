"""What a benchmark hands over, and how it is shown."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

import psutil


@dataclass(frozen=True)
class Figure:
    """One line of the table. `values` are the rounds; `bound` is what the median may at most (or at least) be."""

    part: str
    what: str
    values: Sequence[float]
    unit: str = "×"
    bound: float | None = None
    at_least: bool = False

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def holds(self) -> bool:
        """Whether the median is within the bound; True without one."""
        if self.bound is None:
            return True
        return self.median >= self.bound if self.at_least else self.median <= self.bound

    def row(self) -> str:
        """A line of a Markdown table."""
        bound = "" if self.bound is None else f"{'≥' if self.at_least else '≤'} {_shown(self.bound, self.unit)}"
        verdict = "" if self.bound is None else "yes" if self.holds else "**no**"
        low, high = _middle(self.values)
        spread = "" if len(self.values) < 2 else f"{_shown(low, self.unit)} – {_shown(high, self.unit)}"
        return f"| {self.part} | {self.what} | {_shown(self.median, self.unit)} | {spread} | {bound} | {verdict} |"


def table(figures: Sequence[Figure]) -> str:
    """All of them as one Markdown table; the spread is where the middle half of the rounds lies."""
    head = "| part | what | median | middle half | bound | holds |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(figure.row() for figure in figures)])


def machine() -> str:
    """Its shape, in a line."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = psutil.virtual_memory().total / 2**30
    cores = len(os.sched_getaffinity(0))
    kind = models[0] if models else platform.machine()
    return f"{cores} cores ({kind}), {memory:.0f} GB, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def _middle(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def _shown(value: float, unit: str) -> str:
    if unit == "×":
        return f"×{value:.2f}"
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()
