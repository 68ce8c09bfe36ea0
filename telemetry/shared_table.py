"""A bounded table in memory that all web workers of one gunicorn share, without a database.

The tables at the end are made when this module is imported, which gunicorn's arbiter does before it forks. In another
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
from hashlib import blake2b
from typing import IO

_WAYS = 8
"""Entries of a set. A key has its place in one set; a full set forgets the entry with the oldest time."""
_SET = struct.Struct("<d" + "QdQ" * _WAYS)  # the newest time forgotten; key, time and value of each entry
_ENTRY = struct.Struct("<QdQ")
_TIME = struct.Struct("<d")
_TRIES, _PAUSE = 10, 0.0002
"""How often, and how many seconds apart, a set is tried that another process holds: it does so for microseconds, unless
it was stopped meanwhile."""


class SharedTable:
    """Maps keys (64 bits) to values (64 bits) with a time. At most `entries` of them, 24 bytes each."""

    def __init__(self, entries: int) -> None:
        self._sets = entries // _WAYS
        self._file = _memory(self._sets * _SET.size)
        self._table = mmap.mmap(self._file.fileno(), self._sets * _SET.size)
        self._lock = threading.Lock()  # the file's locks keep out other processes, not other threads

    def update(self, key: int, at: float, since: float, change: Callable[[int], int]) -> int | None:
        """Set the value of `key` to `change(value)` and return the value before: 0 for a new key.

        `at` is the time a new entry gets; entries from before `since` count as absent. None, with nothing changed,
        when the value cannot be known: the key may have been forgotten to make room (keys not older than `at` were),
        or another process does not let go of the set.
        """
        start = key % self._sets * _SET.size
        with self._lock:
            if not self._hold(start):
                return None
            try:
                return self._update(start, key, at, since, change)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _SET.size, start)

    def _update(self, start: int, key: int, at: float, since: float, change: Callable[[int], int]) -> int | None:
        forgotten, *entries = _SET.unpack_from(self._table, start)
        keys, times = entries[0::3], entries[1::3]
        if key in keys and times[place := keys.index(key)] >= since:
            at, value = times[place], entries[3 * place + 2]
        elif at <= forgotten:
            return None
        else:
            place = times.index(min(times))
            value = 0
            if times[place] >= since:
                _TIME.pack_into(self._table, start, max(forgotten, times[place]))
        _ENTRY.pack_into(self._table, start + _TIME.size + place * _ENTRY.size, key, at, change(value))
        return int(value)

    def _hold(self, start: int) -> bool:
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SET.size, start)
            except OSError:  # the kernel gives a killed process's locks back, not a stopped one's
                time.sleep(_PAUSE)
            else:
                return True
        return False


def _memory(length: int) -> IO[bytes]:
    """A file without a name, of zeros, in memory where the system has that."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = open(os.memfd_create("telemetry-table"), "r+b", buffering=0)  # noqa: SIM115 - stays open
    else:
        file = tempfile.TemporaryFile(prefix="telemetry-table-", buffering=0)  # noqa: SIM115 - ditto
    os.ftruncate(file.fileno(), length)
    return file


pages = SharedTable(32_768)
"""Which beacons of which page have been seen."""
counts = SharedTable(65_536)
"""How often what has happened: what clients have counted for, what continues a trace."""
_secret = os.urandom(32)  # of this arbiter: whoever reads the memory learns no address from a key


def key(text: str) -> int:
    """The key of a text: a hash that means nothing outside of this arbiter's processes."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, key=_secret).digest())


def among(text: str, most: int, window: float) -> bool:
    """Whether this is one of the first `most` calls for `text` within `window` seconds, in all workers."""
    now = time.time()
    before = counts.update(key(text), now, now - window, lambda number: number + 1)
    return before is not None and before < most
