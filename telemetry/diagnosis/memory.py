"""Memory that grows and does not stop. Pure."""

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from telemetry.diagnosis.model import Cause, Look, Symptom
from telemetry.diagnosis.signals import Finding

EVERY = 5.0
"""Seconds between two samples."""
SPANS = (120.0, 600.0, 3600.0)
"""Seconds over which growth is looked for: fast and slow leaks."""
SOON = 3.0
"""Times the span within which the limit would be reached."""
GROWN, LEAST = 1.5, 64 << 20
"""Times the usual size that a process has grown to while it goes on growing, and the bytes that count as growth."""
FULL = 0.9
"""Share of the limit that is too much, growing or not."""
MEMORY, WARM = 1800.0, 120.0
"""Seconds after which the usual size weighs 1/e, and within which a new process finds its size."""


class _Sample(NamedTuple):
    at: float
    sizes: dict[str, int]
    """The largest process of each kind, without new ones."""
    total: int


class Memory:
    """The sizes of a host's processes over the last hour, and what is usual."""

    def __init__(self, usual: Mapping[str, float] | None = None) -> None:
        self.usual = dict(usual or {})
        """Bytes of the largest process of each kind."""
        self._latest: dict[int, Look] = {}
        self._born: dict[int, float] = {}
        self._samples = deque[_Sample](maxlen=int(SPANS[-1] / EVERY))
        self._limit = 0
        self._wrong = False

    def add(self, look: Look) -> None:
        """Take in one process's second."""
        self._latest[look.pid] = look
        self._born.setdefault(look.pid, look.at)
        self._limit = look.memory_limit or self._limit
        if self._samples and look.at < self._samples[-1].at + EVERY:
            return
        self._latest = {pid: each for pid, each in self._latest.items() if each.at > look.at - EVERY}
        self._born = {pid: born for pid, born in self._born.items() if pid in self._latest}
        sizes: dict[str, int] = {}
        for pid, each in self._latest.items():
            if look.at - self._born[pid] >= WARM:
                sizes[each.process] = max(sizes.get(each.process, 0), each.memory)
        self._samples.append(_Sample(look.at, sizes, sum(each.memory for each in self._latest.values())))
        if not self._wrong:
            for kind, size in sizes.items():
                self.usual[kind] = self.usual.get(kind, size) + (size - self.usual.get(kind, size)) * EVERY / MEMORY

    def findings(self) -> list[Finding]:
        """The kind of process whose memory grows without end, or all of it when there is hardly any left."""
        found = max((each for kind in self._kinds() for each in self._growing(kind)), key=_rate, default=None)
        if found is None and self._limit and self._samples and self._samples[-1].total >= FULL * self._limit:
            kind = max(self._kinds(), key=lambda kind: self._samples[-1].sizes[kind], default="web")
            found = self._finding(kind, self._samples[-1].at, 0.0)
        self._wrong = found is not None
        return [found] if found is not None else []

    def _kinds(self) -> list[str]:
        return list(self._samples[-1].sizes) if self._samples else []

    def _growing(self, kind: str) -> list[Finding]:
        now = self._samples[-1]
        found = []
        for span in SPANS:
            sizes = [
                (each.at, each.sizes[kind]) for each in self._samples if each.at > now.at - span and kind in each.sizes
            ]
            if not sizes or sizes[-1][0] - sizes[0][0] < 0.9 * span - EVERY:
                continue
            third = len(sizes) // 3
            first, middle, last = (
                _median([size for _, size in part])
                for part in (sizes[:third], sizes[third : 2 * third], sizes[2 * third :])
            )
            # What finds its size grows less and less; what leaks goes on.
            if last - first < LEAST or last - middle < 0.6 * (middle - first) or sizes[-1][1] < last:
                continue
            rate = (last - middle) / (span / 3)
            full = self._limit and (self._limit - now.total) / rate <= SOON * span
            if full or last >= GROWN * self.usual.get(kind, last):
                base = min(size for _, size in sizes)
                began = next(at for at, size in reversed(sizes) if size <= base + 0.05 * (last - base))
                found.append(self._finding(kind, began, rate))
        return found

    def _finding(self, kind: str, since: float, rate: float) -> Finding:
        now = self._samples[-1]
        left = (self._limit - now.total) / rate if rate and self._limit > now.total else 0.0
        symptom = Symptom(
            "memory", kind, now.sizes.get(kind, 0), self.usual.get(kind), size=self._limit, in_use=now.total
        )
        return Finding(symptom, Cause("memory", kind, "state", weight=1.0, now=rate, oldest=left), since)

    def to_json(self) -> dict[str, Any]:
        return self.usual

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Memory":
        """Read what `to_json` made."""
        return cls({kind: float(size) for kind, size in values.items()})


def _rate(finding: Finding) -> float:
    return finding.cause.now


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]
