"""A bounded table in memory that all web workers of one server share, without a database.

The tables at the end are made when this module is imported, which the server's parent does before it forks. In another
process (a command, a test) they are that process's own. What they hold ends with the arbiter. Nothing else of telemetry
is imported here: metrics would find no directory for their files yet.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import threading
import time
from collections.abc import Callable

_WAYS = 8
"""Entries of a set. A key has its place in one set; a full set forgets the entry with the oldest time."""
_NUMBER, _TIME, _TIMES = struct.Struct("<Q"), struct.Struct("<d"), struct.Struct(f"<{_WAYS}d")
_KEYS_AT, _TIMES_AT, _VALUES_AT = 8, 8 + 8 * _WAYS, 8 + 16 * _WAYS
"""Where a set has its keys, times and values; it begins with the newest time it has forgotten."""
_SIZE = 8 + 24 * _WAYS
_TRIES, _PAUSE = 10, 0.0002
"""How often, and how many seconds apart, a set is tried that another process holds: it does so for microseconds, unless
it was stopped meanwhile."""


class SharedTable:
    """Maps keys (64 bits) to values (64 bits) with a time. At most `entries` of them, 24 bytes each.

    `exact`: no update is lost when two processes make one of the same key at the same instant, for the price of two
    system calls. Otherwise one of them may be.
    """

    def __init__(self, entries: int, *, exact: bool) -> None:
        self._sets, self._exact = entries // _WAYS, exact
        self._descriptor = _memory(self._sets * _SIZE)
        self._table = mmap.mmap(self._descriptor, self._sets * _SIZE)
        self._lock = threading.Lock()  # the file's locks keep out other processes, not other threads

    def update(self, key: int, at: float, since: float, change: Callable[[int], int]) -> int | None:
        """Set the value of `key` to `change(value)` and return the value before: 0 for a new key.

        `at` is the time a new entry gets; entries from before `since` count as absent. None, with nothing changed,
        when the value cannot be known: the key may have been forgotten to make room (keys not older than `at` were),
        or another process does not let go of the set.
        """
        start = key % self._sets * _SIZE
        with self._lock:
            if not self._exact:
                return self._update(start, key, at, since, change)
            if not self._hold(start):
                return None
            try:
                return self._update(start, key, at, since, change)
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, _SIZE, start)

    def _update(self, start: int, key: int, at: float, since: float, change: Callable[[int], int]) -> int | None:
        table, packed = self._table, _NUMBER.pack(key)
        times = _TIMES.unpack_from(table, start + _TIMES_AT)
        found = table.find(packed, start + _KEYS_AT, start + _TIMES_AT) - start - _KEYS_AT
        place = found >> 3 if found >= 0 and not found & 7 else -1
        if place >= 0 and times[place] >= since:
            value_at = start + _VALUES_AT + found
            (value,) = _NUMBER.unpack_from(table, value_at)
            _NUMBER.pack_into(table, value_at, change(value))
            return int(value)
        (forgotten,) = _TIME.unpack_from(table, start)
        if at <= forgotten:
            return None
        if place < 0:
            oldest = min(times)
            place = times.index(oldest)
            if oldest >= since:
                _TIME.pack_into(table, start, max(forgotten, oldest))
        _NUMBER.pack_into(table, start + _VALUES_AT + 8 * place, change(0))
        _TIME.pack_into(table, start + _TIMES_AT + 8 * place, at)
        table[start + _KEYS_AT + 8 * place : start + _KEYS_AT + 8 * place + 8] = packed
        return 0

    def _hold(self, start: int) -> bool:
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SIZE, start)
            except OSError:  # the kernel gives a killed process's locks back, not a stopped one's
                time.sleep(_PAUSE)
            else:
                return True
        return False


def _memory(length: int) -> int:
    """The descriptor of a file without a name, of zeros, in memory where the system has that. It stays open."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("telemetry-table")
    else:
        with tempfile.TemporaryFile(prefix="telemetry-table-") as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, length)
    return descriptor


pages = SharedTable(32_768, exact=True)
"""Which beacons of which page have been seen."""
counts = SharedTable(65_536, exact=False)
"""How often what has happened: what clients have counted for, what continues a trace."""


def key(text: str) -> int:
    """The key of a text: Python's keyed hash, the same in all processes that were forked from one and in no others."""
    return hash(text) & 0xFFFF_FFFF_FFFF_FFFF


def among(text: str, most: int, window: float) -> bool:
    """Whether this is one of the first `most` calls for `text` within `window` seconds, in all workers."""
    now = time.time()
    before = counts.update(key(text), now, now - window, lambda number: number + 1)
    return before is not None and before < most
