"""Processes that are stopped for a while, as by a debugger or a virtual machine that is moved."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


@contextmanager
def paused(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """Stop them, and let them go on at the end; those that have ended are passed over."""
    chosen = list(processes)
    for process in chosen:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in chosen:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


def of_postgresql(data: Path) -> list[psutil.Process]:
    """Every process of the server whose data this is."""
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
    return [postmaster, *postmaster.children(recursive=True)]
