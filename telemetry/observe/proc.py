"""What the kernel says of a process or thread in its `stat` file: one read, where psutil takes several."""

import os
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
"""Of the kernel's CPU times, a second."""


class Stat(NamedTuple):
    """A process or thread. `cpu`: seconds of the processor so far."""

    name: str
    group: int
    cpu: float


def stat(path: str) -> Stat | None:
    """Return what `/proc/…/stat` says; None where it has ended, or the system has no such file."""
    try:
        with open(path) as file:
            before, _, after = file.read().rpartition(")")
        fields = after.split()
        return Stat(before.partition("(")[2], int(fields[2]), (int(fields[11]) + int(fields[12])) / _TICKS)
    except (OSError, ValueError, IndexError):
        return None
