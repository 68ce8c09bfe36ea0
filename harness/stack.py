"""The real thing for tests: gunicorn, the task worker and a database of their own, as production runs them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from xfhandyman import process_tree

T = TypeVar("T")
BASE_DIR = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(what: str, probe: Callable[[], T], timeout: float = 15.0) -> T:
    """Call probe until it returns something true, and return that.

    After timeout (s) raises AssertionError, or the probe's OSError: until then that only says that no server listens
    yet.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            if found := probe():
                return found
        except OSError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"timed out after {timeout} s waiting for {what}"
        time.sleep(0.05)


@dataclass
class Stack:
    """One running site. Attributes: url, metrics_url (of the arbiter), env (of every process), directory (scratch)."""

    directory: Path
    env: dict[str, str]
    url: str
    metrics_url: str
    web: subprocess.Popen[bytes]
    worker: subprocess.Popen[bytes] | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def worker_metrics_url(self) -> str:
        """Where the task worker's metrics are."""
        return f"http://127.0.0.1:{self.env['WORKER_METRICS_PORT']}/metrics"

    @property
    def emails(self) -> list[Path]:
        """The e-mail files written so far, oldest first."""
        return sorted((self.directory / "emails").glob("*"), key=lambda path: path.stat().st_mtime)

    @property
    def log_text(self) -> str:
        """Everything the web and worker processes wrote to stdout and stderr."""
        return "".join(path.read_text() for path in sorted(self.directory.glob("*.log")))

    def log_events(self, event: str | None = None) -> list[dict[str, Any]]:
        """The JSON log lines, optionally only those named event."""
        texts = [path.read_text() for path in sorted(self.directory.glob("*.log"))]
        whole = [text[: text.rfind("\n") + 1] for text in texts]  # the last line may still be in the making
        lines = [json.loads(line) for text in whole for line in text.splitlines() if line.startswith("{")]
        return [line for line in lines if event is None or line.get("event") == event]

    def get(self, path: str, timeout: float = 10.0, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """GET path (or an absolute URL) and return status and body; HTTP errors are answers too."""
        address = path if "://" in path else self.url + path
        request = urllib.request.Request(address, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def manage(self, *arguments: str) -> str:
        """Run a management command against this site's database and return its output."""
        return manage(*arguments, env=self.env)

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start one more process of this site (ended with it), its output in NAME.log."""
        # gunicorn by its script, as the Procfile does: started with -m it cannot start its successor (SIGUSR2).
        python = self.env.get(
            "STACK_PYTHON", sys.executable
        )  # another one where a benchmark compares with other packages
        gunicorn = [python, str(Path(python).with_name("gunicorn"))]
        line = [*gunicorn, *command[1:]] if command[0] == "gunicorn" else [python, "-m", *command]
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                line,
                cwd=BASE_DIR,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=process_tree.with_parent(),
            )
        self.processes.append(process)
        return process

    def stop(self, timeout: float = 10.0) -> None:
        """SIGTERM every process, then wait; whatever is left after timeout (s) is killed."""
        running = [process for process in reversed(self.processes) if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def manage(*arguments: str, env: Mapping[str, str]) -> str:
    """Run manage.py and return its output. Raises AssertionError with the output when it fails."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=BASE_DIR, env=dict(env), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running_stack(
    directory: Path,
    database_url: str,
    env: Mapping[str, str] | None = None,
    *,
    workers: int = 1,
    threads: int = 4,
    worker: bool = False,
) -> Iterator[Stack]:
    """Start gunicorn (and the task worker) on database_url; env adds to or overrides the environment."""
    port, metrics_port = free_port(), free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "WORKER_METRICS_PORT": str(free_port()),
        "WEB_CONCURRENCY": str(workers),
        "WEB_THREADS": str(threads),
        "LOG_FORMAT": "json",
        "EMAIL_URL": f"file:///{directory / 'emails'}",
        "PYTHONUNBUFFERED": "1",
        "INCIDENTS_DIR": str(directory / "state"),
        # A load generator is one client that comes far too often: checked as ever, refused never.
        **{f"UNPROVEN_BOOKINGS_PER_{whose}": "1000000" for whose in ("ADDRESS", "CLIENT")},
        **{
            f"RATE_LIMIT_{name}": "1000000/s 1000000/s"
            for name in ("BOOKING", "WAITLIST", "CONTACT", "LINK", "AVAILABILITY")
        },
        **(env or {}),
    }
    module = environment.get("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")
    environment["DJANGO_SETTINGS_MODULE"] = module
    stack = Stack(directory, environment, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics", None)  # type: ignore[arg-type] # set two lines on
    try:
        stack.web = stack.start("web", "gunicorn", "xfhandyman.wsgi")
        if worker:
            stack.worker = stack.start("worker", "manage", "procrastinate", "worker")
        wait_for("gunicorn to answer", lambda: _answers(stack), 30)
        yield stack
    finally:
        stack.stop()


def _answers(stack: Stack) -> bool:
    assert stack.web.poll() is None, f"gunicorn ended:\n{stack.log_text}"
    try:
        stack.get("/livez", timeout=2)
    except OSError:
        return False
    return True
