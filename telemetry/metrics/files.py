"""prometheus_client's memory-mapped files, on a disk that may be full.

The library makes its files longer without asking for room. A store to a page for which the disk then has none is no
exception but SIGBUS: it ends the worker, and each that takes its place. Here a file's blocks are taken before they
are mapped; where there are none a worker's values stay in its memory, unseen by scrapes, and move to the disk when
that has room again.
"""

import mmap
import os
import threading
import time
from contextlib import suppress
from typing import Any

import prometheus_client.values
from prometheus_client.mmap_dict import MmapedDict

from telemetry.logger import get_logger

FIRST = 1 << 16
"""Bytes of a new file."""
RETRY = 5.0
"""Seconds between attempts to move back to the disk."""

log = get_logger("telemetry.metrics.files")


class AllocatedFile(MmapedDict):
    """Raises OSError where the library's own would be killed."""

    _f: Any  # None in memory
    _m: Any

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            allocate(filename)
        super().__init__(filename, read_mode)

    def _init_value(self, key: str) -> None:
        while self._used + len(key.encode()) + 32 > self._capacity:  # 32: length, padding, value and timestamp
            self._grow(self._capacity * 2)
        super()._init_value(key)

    def _grow(self, capacity: int) -> None:
        take_room(self._f.fileno(), capacity)
        self._m, self._capacity = mmap.mmap(self._f.fileno(), capacity), capacity


def allocate(filename: str) -> None:
    """Make the file, or give it blocks for all its length. Raises OSError, and leaves no empty file behind."""
    with open(filename, "a+b") as file:
        length = os.fstat(file.fileno()).st_size
        try:
            take_room(file.fileno(), length or FIRST)
        except OSError:
            if not length:
                os.unlink(filename)
            raise


class WorkerFile(AllocatedFile):
    """A worker's file, in memory while the disk is full."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            super().__init__(filename, read_mode)
        except OSError as error:
            self._f, self._fname, self._positions = None, filename, dict[str, int]()
            self._used, self._capacity = 8, FIRST
            self._m = mmap.mmap(-1, FIRST)
            self._m[:4] = self._used.to_bytes(4, "little")
            self._leave(error)

    def _grow(self, capacity: int) -> None:
        try:
            super()._grow(capacity)
        except OSError as error:
            memory = _memory(self._m, capacity)
            self._f.close()
            self._f, self._m, self._capacity = None, memory, capacity
            self._leave(error)

    def _leave(self, error: OSError) -> None:
        self.__class__, self._retry_at = InMemory, time.monotonic() + RETRY
        # Not here: the caller holds the lock of all metrics, and a log line may count itself.
        threading.Thread(target=_tell, args=(self._fname, error.strerror), daemon=True).start()

    def close(self) -> None:
        super().close()  # of a file; what is in memory alone it leaves open
        if self._m is not None:
            self._m.close()
            self._m = None


class InMemory(WorkerFile):
    """While the disk is full. A class of its own, so that a write to a file costs no question about that."""

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        if time.monotonic() > self._retry_at:
            self._retry_at = time.monotonic() + RETRY
            with suppress(OSError):
                self._return()
        MmapedDict.write_value(self, key, value, timestamp)  # by now perhaps no longer of this class

    def _grow(self, capacity: int) -> None:
        self._m, self._capacity = _memory(self._m, capacity), capacity

    def _return(self) -> None:
        file: Any = open(self._fname, "a+b")  # noqa: SIM115 - stays open, as the library's own
        try:
            take_room(file.fileno(), self._capacity)
        except OSError:
            empty = not os.fstat(file.fileno()).st_size
            file.close()
            if empty:
                os.unlink(self._fname)
            raise
        mapped = mmap.mmap(file.fileno(), self._capacity)
        mapped[:] = self._m[:]
        self._f, self._m = file, mapped
        self.__class__ = WorkerFile  # type: ignore[assignment]  # one level up


def take_room(descriptor: int, length: int) -> None:
    """Give a file blocks for its length. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, length)
    else:  # macOS, on which nobody serves customers
        os.ftruncate(descriptor, length)


def _memory(values: mmap.mmap, capacity: int) -> mmap.mmap:
    memory = mmap.mmap(-1, capacity)
    memory[: len(values)] = values[:]
    return memory


def _tell(filename: str, reason: str) -> None:
    log.warning("metrics_kept_in_memory", file=os.path.basename(filename), reason=reason)


def install() -> None:
    """Before the first metric: let the library's values live in these files."""
    prometheus_client.values.MmapedDict = WorkerFile  # type: ignore[attr-defined]  # a class, imported there by name
