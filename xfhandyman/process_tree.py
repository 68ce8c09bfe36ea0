"""Trees of processes that end as a whole: by a signal to their root, within seconds, and (on Linux) with its death.

What a process starts may start more, in sessions of their own. On Linux their root adopts those whose parents have
ended, so that it finds them all; elsewhere it finds those whose parents still run.
"""

import atexit
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from xfhandyman import embedded

GRACE = 2.0
"""Seconds that processes get to end by themselves before they are killed."""
CLEANUP = 6.0
"""Seconds that a root gets for its own cleaning up when it is told to end."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def with_parent() -> Callable[[], None] | None:
    """A `preexec_fn` for a child that gets SIGTERM when this process ends, however that ends; None where it cannot be.

    The kernel sends it when the thread that started the child ends, so only the main thread may ask for it.
    """
    if _prctl is None or threading.current_thread() is not threading.main_thread():
        return None
    return end_with_parent


def end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent ends."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def lead(*, clean_up: bool) -> None:
    """Make this process the root of its tree: SIGTERM, SIGINT and SIGHUP to it end the tree; the exit code is 128 + n.

    With `clean_up` the signal raises SystemExit, so that context managers leave, for CLEANUP seconds at most. Without,
    the tree ends at once.
    """
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)

    atexit.register(end_descendants)

    def end(signum: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if not clean_up:
            if signum == signal.SIGINT:  # a terminal has sent it to all of them, and some report before they end
                psutil.wait_procs(_descendants(), GRACE)
            _end_now(128 + signum)
        timer = threading.Timer(CLEANUP, _end_now, [128 + signum])
        timer.daemon = True
        timer.start()
        sys.exit(128 + signum)

    for each in _SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(each, end)


_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_descendants(grace: float = GRACE) -> int:
    """End every process below this one: SIGTERM, and SIGKILL after `grace` seconds; returns how many there were.

    Embedded PostgreSQL servers end last, and only those that no process elsewhere uses.
    """
    found = [each for each in _descendants() if not _is_postgres(each)]
    for each in found:
        _signal(each, signal.SIGTERM)
    psutil.wait_procs(found, grace)
    for each in _descendants():  # with what was started, or orphaned, meanwhile
        if not _is_postgres(each):
            _signal(each, signal.SIGKILL)
    for data in {_directory(each) for each in _descendants() if _is_postgres(each)}:
        if data is not None:
            embedded.stop_unused(data)
    psutil.wait_procs(_descendants(), 0.5)  # reaps what was adopted
    return len(found)


def _end_now(code: int) -> None:
    with suppress(Exception):
        end_descendants()
    with suppress(Exception):
        embedded.stop_own()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def _descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _is_postgres(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name() == "postgres"
    return False


def _directory(server: psutil.Process) -> Path | None:
    with suppress(psutil.Error):
        return Path(server.cwd())
    return None


def _signal(process: psutil.Process, signum: signal.Signals) -> None:
    with suppress(psutil.Error):
        process.send_signal(signum)
