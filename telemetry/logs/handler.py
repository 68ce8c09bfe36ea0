"""Lines to standard error, for which nobody waits."""

import logging
import os
import select
import stat
import sys
import time
from contextlib import nullcontext, suppress

KNOWN = 1.0
"""Seconds for which it is known what stderr is: asking costs more than writing a line."""


class LineHandler(logging.Handler):
    """Writes each line to stderr at once. When its reader hangs, lines are dropped and counted; nobody waits for it."""

    _timeout_ms = 50
    """How long the first line waits for a reader that is slow; after that none waits until it reads again."""

    def __init__(self) -> None:
        super().__init__()
        self._stuck = self._cut = False
        """`_cut`: the last line stands there without its end."""
        self._known: tuple[int, int, bool] | None = None
        self._known_until = 0.0
        self._pipe: tuple[int, int, int] | None = None
        """Device and inode of stderr's pipe, and a descriptor of our own for it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001, RUF100  # a line that cannot be formatted must not fail its caller
            _dropped("format")
            return
        self._send(line)

    def _send(self, line: str) -> None:
        try:
            fd = sys.stderr.fileno()
        except (OSError, ValueError, AttributeError):  # captured by a test or detached
            if sys.stderr:
                sys.stderr.write(line + "\n")
            return
        try:
            written = self._write(fd, (line + "\n").encode(errors="replace"))
        except OSError:
            self._known = None
            _dropped("sink_gone")
            return
        self._stuck = not written
        if not written:
            _dropped("sink_blocked")

    def send(self, line: str) -> None:
        """Write a line that is already formatted."""
        with self.lock or nullcontext():
            self._send(line)

    def _write(self, fd: int, data: bytes) -> bool:
        """False when the reader does not take the line, or the rest of a long one."""
        if self._known is None or time.monotonic() >= self._known_until:
            self._known, self._known_until = self._sink(fd), time.monotonic() + KNOWN
        sink, most, waits = self._known
        rest = b"\n" + data if self._cut else data
        whole = len(rest)
        while rest:  # almost always once
            taken = self._take(sink, rest[:most], waits)
            if not taken:
                self._cut = self._cut or len(rest) < whole
                return False
            rest = rest[taken:]
        self._cut = False
        return True

    def _take(self, sink: int, data: bytes, waits: bool) -> int:
        """How many bytes the reader takes now; it is asked first only where a write would wait for it."""
        if not waits and not self._stuck:
            with suppress(BlockingIOError):
                return os.write(sink, data)
        if not self._writable(sink):
            return 0
        try:
            return os.write(sink, data)
        except BlockingIOError:  # another process has filled it just now
            return 0

    def _sink(self, fd: int) -> tuple[int, int, bool]:
        """Where to write, how many bytes at once so that the write does not block, and whether it could wait at all.

        A pipe with room for one byte lets a longer write in and holds it until all is read, so a pipe is opened a
        second time: O_NONBLOCK on stderr itself would change it for every process that shares it.
        """
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return fd, sys.maxsize, False
        if stat.S_ISFIFO(status.st_mode):
            if self._pipe is None or self._pipe[:2] != (status.st_dev, status.st_ino):
                before, self._pipe = self._pipe, None
                if before:
                    os.close(before[2])
                with suppress(OSError):  # no /proc, or the pipe is another user's
                    own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
                    self._pipe = (status.st_dev, status.st_ino, own)
            if self._pipe:
                return self._pipe[2], sys.maxsize, False
        return fd, select.PIPE_BUF, True

    def _writable(self, fd: int) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        return bool(poll.poll(0 if self._stuck else self._timeout_ms))


def _dropped(reason: str) -> None:
    if metrics := sys.modules.get("telemetry.metrics.catalogue"):  # the arbiter has none
        metrics.telemetry_dropped.labels("logs", reason).inc()
