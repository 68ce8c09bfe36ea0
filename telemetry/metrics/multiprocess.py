"""The files through which the web workers of one server share their metrics.

The arbiter makes a fresh directory at its start, before any worker. Without it a process keeps its metrics in memory,
unless the host has turned multi-process mode on itself. A worker that dies leaves its counters and histograms behind,
which are added to one file for all the dead, so that a scrape costs the same after a thousand deaths as after one. A
file lock keeps a scrape from seeing them twice or not at all.
"""

import fcntl
import glob
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ENV = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "telemetry-metrics-"
_made: Path | None = None
"""The directory that this process has made, or the one that it was forked from."""


def directory() -> Path | None:
    """Where the workers' files are, or None in a process that keeps its metrics in memory.

    A host may have said where, for metrics of its own: then ours are there too.
    """
    path = os.environ.get(_ENV)
    return Path(path) if path else None


def made() -> Path | None:
    """The directory of this server, if the arbiter has made it: no other is ours to tidy."""
    return _made


def create() -> Path:
    """Make the directory of a new arbiter and announce it to the workers; remove those of arbiters that are gone.

    Call it before the first metric is declared.
    """
    global _made
    base = Path(tempfile.gettempdir())
    for old in base.glob(f"{_PREFIX}*-*"):
        pid = old.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(old, ignore_errors=True)  # another user's is left alone
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    os.environ[_ENV] = str(path)
    _made = path
    values = sys.modules.get("prometheus_client.values")
    if values is not None:  # it chose by the environment when it was imported, e.g. by the server's configuration
        values.ValueClass = values.get_value_class()  # type: ignore[attr-defined]
    return path


def remove() -> None:
    """The arbiter ends."""
    if path := made():
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def lock(path: Path, timeout: float) -> Iterator[bool]:
    """Hold the directory's lock; yields False when it could not be had within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    with (path / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    yield False
                    return
                time.sleep(0.005)
        try:
            yield True
        finally:  # closing is not enough: a worker forked meanwhile has the file open too, and would keep the lock
            fcntl.flock(file, fcntl.LOCK_UN)


def keep() -> None:
    """Make the directory again where something has tidied it away: a worker could not start without it."""
    if path := made():
        path.mkdir(mode=0o700, exist_ok=True)


def reap(pid: int) -> None:
    """A worker has died: drop its gauges, keep what it counted; later, when the lock cannot be had now."""
    path = made()
    if path is None:
        return
    (path / f"{pid}.dead").touch()
    with lock(path, timeout=0.5) as held:
        if not held:
            return
        for mark in path.glob("*.dead"):
            _merge(path, mark.stem)
            mark.unlink()


def withdraw() -> None:
    """Show no gauge of this process, which has loaded the application but serves nothing. What it counts is all 0."""
    if path := made():
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(os.getpid(), str(path))


def _merge(path: Path, pid: str) -> None:
    from prometheus_client.mmap_dict import MmapedDict
    from prometheus_client.multiprocess import mark_process_dead

    from telemetry.metrics.files import AllocatedFile

    mark_process_dead(int(pid), str(path))
    (path / f"exemplars_{pid}").unlink(missing_ok=True)
    for kind in ("counter", "histogram"):
        file, merged = path / f"{kind}_{pid}.db", path / f"{kind}_dead.db"
        if not file.exists():
            continue
        total = (
            {key: value for key, value, _, _ in MmapedDict.read_all_values_from_file(str(merged))}
            if (merged.exists())
            else {}
        )
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
            total[key] = total.get(key, 0.0) + value
        fresh = path / f"{kind}_fresh"
        fresh.unlink(missing_ok=True)
        written = AllocatedFile(str(fresh))
        for key, value in total.items():
            written.write_value(key, value, 0.0)
        written.close()
        fresh.replace(merged)
        file.unlink()


def files(path: Path) -> list[str]:
    return glob.glob(str(path / "*.db"))
