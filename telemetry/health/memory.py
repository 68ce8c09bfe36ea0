"""How much memory the processes of the site use, and how much they may. Needs psutil."""

import os
from collections.abc import Callable
from pathlib import Path

from telemetry.health import State
from telemetry.observe.drivers import psutil

SHARE = 0.9
"""Of the limit, from which memory is short."""


def memory() -> State:
    """Compare what the process group uses with the limit of its control group (or the machine's memory)."""
    if psutil is None:
        return "disabled"
    short = SHARE * memory_limit()
    # Resident sizes count shared pages once for each process: never too little, and a hundred times as fast to read.
    return "ok" if _of_group(_resident) < short or group_memory() < short else "degraded"


def group_memory() -> int:
    """Bytes the processes of this group (the arbiter and its workers) use; shared pages count once among them."""
    return _of_group(_proportional)


def _of_group(size: Callable[[int], int]) -> int:
    own, total = os.getpgrp(), 0
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == own:
                total += size(pid)
        except (psutil.Error, OSError):
            continue  # it has ended, or is not ours to look into
    return total


def _resident(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def _proportional(pid: int) -> int:
    return int(psutil.Process(pid).memory_full_info().pss)


def memory_limit(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes: the lowest limit of the control group and its parents (version 2, else 1), else the machine's memory."""
    limits: list[int] = [psutil.virtual_memory().total]
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        lines = []
    for _, controllers, path in lines:
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        base, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        here = base / path.lstrip("/")
        for directory in [here, *here.parents]:
            try:
                value = (directory / name).read_text().strip()
            except OSError:
                value = ""
            if value.isdigit():
                limits.append(int(value))
            if directory == base:
                break
    return min(limits)
