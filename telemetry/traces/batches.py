"""What the batches of spans and of log lines have in common on their way out: counted where lost, not waited for."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, ClassVar

from telemetry.metrics import catalogue


def installed_exporter(signal: str, name: str) -> Any:
    """The exporter that a package brings under this name; `signal` as OpenTelemetry writes it ("traces", "logs")."""
    [found] = entry_points(group=f"opentelemetry_{signal}_exporter", name=name)
    return found.load()()


class CountingExporter:
    """Hands on to the real exporter, and counts what that does not take."""

    pipeline: ClassVar[str]

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter

    def leaving(self, batch: Sequence[Any]) -> Sequence[Any]:
        """The batch as it may leave."""
        return batch

    def export(self, batch: Sequence[Any]) -> Any:
        result = self._exporter.export(self.leaving(batch))
        if result.name != "SUCCESS":
            catalogue.telemetry_dropped.labels(self.pipeline, "export_failed").inc(len(batch))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        flushed: bool = self._exporter.force_flush(timeout_millis)
        return flushed


class Bounded:
    """Of a batch processor: counts what it drops, and ends when told to.

    The SDK's own shutdown waits 30 s for a collector that does not answer.
    """

    pipeline: ClassVar[str]
    _batch_processor: Any

    def count_full(self) -> None:
        """To be called before each that is added: where the queue is full, the oldest makes room."""
        batch = self._batch_processor
        if len(batch._queue) >= batch._max_queue_size:  # noqa: SLF001 - docs/private-names.md
            catalogue.telemetry_dropped.labels(self.pipeline, "queue_full").inc()

    def stop(self, timeout: float) -> None:
        batch = self._batch_processor
        batch.shutdown(timeout_millis=int(timeout * 1000))
        if left := len(batch._queue):  # noqa: SLF001 - docs/private-names.md
            catalogue.telemetry_dropped.labels(self.pipeline, "shutdown").inc(left)
