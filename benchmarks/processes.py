"""CPU time of running processes."""

import time

import psutil


def cpu(pid: int) -> float:
    """Seconds a process and its children have used."""
    parent = psutil.Process(pid)
    return sum(_exact(process.pid) for process in (parent, *parent.children(recursive=True)))


def _exact(pid: int) -> float:
    """To the nanosecond, where /proc counts in hundredths of a second: clock_getcpuclockid(3) of the process."""
    return time.clock_gettime(((-pid - 1) << 3) | 2)
