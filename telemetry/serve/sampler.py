"""One thread per process that looks every second: what it sees is shared, judged, and projected into metrics."""

import os
import threading
import time

from telemetry import health
from telemetry.conf import conf
from telemetry.diagnosis import incidents, store
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.observe import work
from telemetry.serve.caretaker import Caretaker
from telemetry.serve.looks import Observer
from telemetry.serve.projections import Projections, count_work
from telemetry.serve.resolver import Resolver

INTERVAL, GRACE = 1.0, 3.0
"""Seconds between looks, and before this process tries to lead its host."""

log = get_logger(__name__)


class Sampler(threading.Thread):
    """Daemon, so that it never holds up an exit; a fault in one look is counted and the next one goes on."""

    def __init__(self, process: str) -> None:
        super().__init__(name="telemetry-sampler", daemon=True)
        self._stopping = threading.Event()
        self._board = incidents.board()
        self._observer = Observer(process, self._board)
        self._leader = incidents.Leader(self._board, GRACE)
        self._projections = Projections(self._board)
        self._caretaker = Caretaker(self._board)
        self._writer = store.Writer(self._board)
        self._resolver = Resolver(self._board)
        self._failing = False

    def run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            try:
                self._look()
                self._failing = False
            except Exception:
                catalogue.telemetry_dropped.labels("sampler", "error").inc()
                if not self._failing:  # once, not every second
                    log.exception("sampler_failed")
                self._failing = True
            due = max(due + INTERVAL, time.monotonic())

    def stop(self) -> None:
        """End after the current look; returns within a second."""
        self._stopping.set()
        self.join(1.0)
        self._board.withdraw(os.getpid())
        if not self.is_alive():
            count_work(work.ledger.look([]))  # of the work since the last look

    def _look(self) -> None:
        health.refresh()
        look = self._observer.look()
        self._board.publish(look)
        self._leader.step(look.at)
        self._projections.look(look)
        self._projections.incidents(self._board.incidents())
        self._writer.offer(self._board.recent())
        self._resolver.offer(self._board.recent())
        self._caretaker.tend()


_sampler: Sampler | None = None


def start(process: str) -> None:
    """Begin to look around in this process ("web", "worker"). Call it after fork; nothing happens the second time."""
    global _sampler
    if conf.enabled and (_sampler is None or not _sampler.is_alive()):
        _sampler = Sampler(process)
        _sampler.start()


def stop() -> None:
    """End the thread, if there is one."""
    global _sampler
    sampler, _sampler = _sampler, None
    if sampler is not None:
        sampler.stop()
