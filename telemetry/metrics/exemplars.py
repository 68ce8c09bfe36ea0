"""Exemplars of a server with several workers, which prometheus_client leaves out of its multi-process mode.

`observe(seconds, {"trace_id": …})` keeps the latest exemplar of each bucket in a file of the worker's own: fixed slots,
so that writing one costs about as much as counting. A scrape that asks for OpenMetrics reads them.
"""

import json
import mmap
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import Metric, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Exemplar

from telemetry.context import pid
from telemetry.metrics import files, multiprocess

SLOTS = 1024
"""Buckets of one worker that have an exemplar; later ones get none."""

_KEY, _EXEMPLAR = 384, struct.Struct("=112sdd")  # labels as JSON, value, Unix seconds
_SLOT = _KEY + _EXEMPLAR.size
Series = tuple[str, tuple[tuple[str, str], ...]]


class _File:
    """The exemplars of this process."""

    def __init__(self) -> None:
        self._pid, self._map, self._used = 0, None, 0  # type: int, mmap.mmap | None, int
        self._offsets: dict[str, int] = {}

    def write(self, key: str, exemplar: Exemplar) -> None:
        """Keep an exemplar of a series; `key` is its name and labels as JSON."""
        if self._pid != pid():
            self._open()
        labels = json.dumps(exemplar.labels).encode()
        offset = self._offsets.get(key) or self._take(key)
        if offset and self._map is not None and len(labels) <= 112:
            _EXEMPLAR.pack_into(self._map, offset, labels, exemplar.value, exemplar.timestamp or 0.0)

    def _open(self) -> None:
        self._pid, self._map, self._used = pid(), None, 0
        self._offsets = {}
        path = multiprocess.directory()
        if path is not None:
            with suppress(OSError), (path / f"exemplars_{self._pid}").open("w+b") as file:  # the disk is full
                files.take_room(file.fileno(), SLOTS * _SLOT)
                self._map = mmap.mmap(file.fileno(), SLOTS * _SLOT)

    def _take(self, key: str) -> int:
        encoded = key.encode()
        if self._map is None or self._used == SLOTS or len(encoded) > _KEY:
            return 0
        start = self._used * _SLOT
        self._map[start : start + len(encoded)] = encoded
        self._used += 1
        self._offsets[key] = start + _KEY
        return start + _KEY


_file = _File()


def install() -> None:
    """Let every histogram and counter made from now on keep exemplars; before the first metric."""
    if multiprocess.directory() is None or hasattr(values.ValueClass, "keeps_exemplars"):
        return  # one process: the library does so itself

    class ExemplarValue(values.MultiProcessValue(pid)):  # type: ignore[misc]  # a class that is made here
        keeps_exemplars = True

        key = ""

        def __init__(self, kind: str, metric: str, name: str, names: Any, labels: Any, *more: Any, **options: Any):
            super().__init__(kind, metric, name, names, labels, *more, **options)
            self.series = (name, names, labels)

        def set_exemplar(self, exemplar: Exemplar) -> None:
            if not self.key:
                name, names, labels = self.series
                self.key = json.dumps([name, dict(zip(names, labels, strict=True))])
            _file.write(self.key, exemplar)

    values.ValueClass = ExemplarValue  # the library's own choice between two classes


class ExemplarCollector(MultiProcessCollector):
    """The metrics of all workers, with the latest exemplar of each bucket."""

    def collect(self) -> Iterable[Metric]:
        found = read(Path(self._path))
        for metric in super().collect():
            if metric.type == "histogram":
                metric.samples = [
                    sample._replace(exemplar=found.get((sample.name, tuple(sorted(sample.labels.items())))))
                    for sample in metric.samples
                ]
            yield metric


def read(path: Path) -> dict[Series, Exemplar]:
    """The latest exemplar of each series, over all workers."""
    latest: dict[Series, Exemplar] = {}
    for file in path.glob("exemplars_*"):
        with suppress(OSError):  # its worker has just been reaped
            for series, exemplar in _slots(file.read_bytes()):
                known = latest.get(series)
                if known is None or float(exemplar.timestamp or 0) > float(known.timestamp or 0):
                    latest[series] = exemplar
    return latest


def _slots(content: bytes) -> Iterator[tuple[Series, Exemplar]]:
    for start in range(0, len(content) - _SLOT + 1, _SLOT):
        key = content[start : start + _KEY].rstrip(b"\0")
        if not key:
            return
        with suppress(ValueError):  # it is being written
            labels, value, at = _EXEMPLAR.unpack_from(content, start + _KEY)
            name, of = json.loads(key)
            known: dict[str, Any] = json.loads(labels.rstrip(b"\0"))
            yield (name, tuple(sorted(of.items()))), Exemplar(known, value, at)
