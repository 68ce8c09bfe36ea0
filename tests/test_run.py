"""`make run` through its supervisor: all starts, faults are told in one line, nothing is left behind."""

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.stack import BASE_DIR, free_port, wait_for

pytestmark = [pytest.mark.timing, pytest.mark.waits]


def _serve(tmp_path: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "xfhandyman.settings",
        "EMBEDDED_DATA": str(tmp_path / "postgres"),
        "METRICS_PORT": str(free_port()),
        "PORT": str(free_port()),
        **variables,
    }
    if "DATABASE_URL" not in variables:
        del environment["DATABASE_URL"]
    return subprocess.Popen(
        [sys.executable, "manage.py", "serve", *options],
        cwd=BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _answers(url: str) -> bool:
    with suppress(OSError):
        return bool(urllib.request.urlopen(url, timeout=2).status == 200)
    return False


def test_it_shows_exceptions_to_who_develops(tmp_path: Path) -> None:
    port = free_port()
    served = _serve(tmp_path, "--reload", PORT=str(port), DEBUG="true")
    wait_for("the home page", lambda: _answers(f"http://127.0.0.1:{port}/"), 120)
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/nothing/", timeout=10)
    assert "Using the URLconf defined in" in missing.value.read().decode()
    processes = psutil.Process(served.pid).children(recursive=True)
    served.terminate()
    assert served.wait(5) == 0
    assert [process for process in processes if process.is_running() and process.status() != "zombie"] == []


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_and_stops_every_process_within_three_seconds(tmp_path: Path, stop_signal: signal.Signals) -> None:
    port = free_port()
    served = _serve(tmp_path, PORT=str(port))
    wait_for("the home page", lambda: _answers(f"http://127.0.0.1:{port}/"), 120)
    postmaster = psutil.Process(int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0]))
    processes = [*psutil.Process(served.pid).children(recursive=True), postmaster]
    started = time.monotonic()
    served.send_signal(stop_signal)
    output, _ = served.communicate(timeout=10)
    assert time.monotonic() - started < 3, output
    assert served.returncode == 0, output
    assert [process for process in processes if process.is_running() and process.status() != "zombie"] == []


def test_it_ends_make_with_exit_code_0_on_ctrl_c_in_a_terminal(tmp_path: Path) -> None:
    port = free_port()
    ours, terminal = pty.openpty()
    environment = {**os.environ, "PORT": str(port), "METRICS_PORT": str(free_port())}
    made = subprocess.Popen(
        ["make", "run"],
        cwd=BASE_DIR,
        env=environment | {"DATABASE_URL": "", "EMBEDDED_DATA": str(tmp_path / "postgres")},
        stdin=terminal,
        stdout=(tmp_path / "output").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    wait_for("the home page", lambda: _answers(f"http://127.0.0.1:{port}/"), 120)
    os.write(ours, b"\x03")
    assert made.wait(5) == 0, (tmp_path / "output").read_text()
    os.close(terminal)
    os.close(ours)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], Callable[[], str]]]]:
    """Start `manage.py serve` by a command line with SERVE in it; the process, and what it has written."""
    started: list[subprocess.Popen[bytes]] = []
    output = tmp_path / "output"

    def start(line: str, **options: Any) -> tuple[subprocess.Popen[bytes], Callable[[], str]]:
        environment = {**os.environ, "EMBEDDED_DATA": str(tmp_path / "postgres"), "PORT": str(free_port())}
        environment |= {"METRICS_PORT": str(free_port()), "EMAIL_URL": f"file:///{tmp_path}/mail", "DATABASE_URL": ""}
        serve = f"{sys.executable} manage.py serve"
        given: Any = {"stdin": subprocess.DEVNULL, "start_new_session": True} | options
        with output.open("wb") as file:
            started.append(
                subprocess.Popen(
                    ["sh", "-c", line.replace("SERVE", serve)],
                    cwd=BASE_DIR,
                    env=environment,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    **given,
                )
            )
        return started[-1], output.read_text

    yield start
    for process in started:
        for each in [psutil.Process(process.pid)] if process.poll() is None else []:
            for child in [*each.children(recursive=True), each]:
                with suppress(psutil.Error):
                    child.kill()


@pytest.mark.parametrize(
    "line",
    [
        "exec SERVE",
        "script -qec 'exec SERVE' /dev/null",
        "setsid --wait SERVE",
        "nohup SERVE",
        "SERVE <&-",
        "SERVE | cat",
    ],
    ids=["leader", "script", "setsid", "nohup", "closed", "pipe"],
)
def test_it_serves_and_stops_however_it_is_started(serving: Any, line: str) -> None:
    """As leader of a session it may not change its group; without a terminal of its own it may not take one."""
    ours, terminal = pty.openpty()
    takes = line.startswith("exec")
    options = {"stdin": terminal, "preexec_fn": lambda: takes and fcntl.ioctl(0, termios.TIOCSCTTY, 0)}
    shell, said = serving(line, **options)
    try:
        _await_addresses(shell, said)
        assert "Traceback" not in said(), said()
        family = [psutil.Process(shell.pid), *psutil.Process(shell.pid).children(recursive=True)]
        supervisor = next(each for each in family if "serve" in each.cmdline() and "python" in each.name())
        supervisor.terminate()
        wait_for("all to stop", lambda: not any(map(_runs, family)), 10)
    finally:
        os.close(terminal)
        os.close(ours)
    assert "Traceback" not in said(), said()


def _await_addresses(served: subprocess.Popen[bytes], said: Callable[[], str]) -> None:
    wait_for("all addresses", lambda: "E-mails" in said() or served.poll() is not None, 120)


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_it_stops_when_its_terminal_is_closed(serving: Any) -> None:
    ours, terminal = pty.openpty()

    def at_a_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup

    shell, said = serving("exec SERVE", stdin=terminal, preexec_fn=at_a_terminal)
    os.close(terminal)
    _await_addresses(shell, said)
    family = psutil.Process(shell.pid).children(recursive=True)
    os.close(ours)
    wait_for("all to stop", lambda: shell.poll() is not None and not any(map(_runs, family)), 10)


def test_it_leaves_nothing_behind_when_it_is_killed(serving: Any) -> None:
    shell, said = serving("exec SERVE")
    _await_addresses(shell, said)
    family = psutil.Process(shell.pid).children(recursive=True)
    shell.kill()
    wait_for("all to stop", lambda: not any(map(_runs, family)), 30)


def test_it_says_where_everything_is_and_how_to_get_a_password_again(serving: Any) -> None:
    for start in ("first", "second"):
        shell, said = serving("exec SERVE")
        _await_addresses(shell, said)
        shell.terminate()
        shell.wait(10)
        block = said().partition(" is ready at ")[2].splitlines()
        assert [line.split()[0] for line in block[1:5]] == ["Site", "Admin", "Metrics", "E-mails"], said()
        assert ("manage.py changepassword demo" in block[2]) == (start == "second")
        assert ("as demo, password: " in block[2]) == (start == "first")
        assert ("password: " in said().partition("is ready")[0]) == (start == "first")


def test_it_says_in_one_line_that_a_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = _serve(tmp_path, PORT=str(port), DATABASE_URL=os.environ["DATABASE_URL"])
        output, _ = served.communicate(timeout=30)
    assert served.returncode == 1
    assert len(output.strip().splitlines()) == 1, output
    assert f"Port {port} is taken" in output


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "nonsense", "mysql://x/y"])
def test_it_says_in_one_line_that_the_database_url_is_broken(tmp_path: Path, url: str) -> None:
    served = _serve(tmp_path, DATABASE_URL=url)
    output, _ = served.communicate(timeout=30)
    assert served.returncode == 1
    assert len(output.strip().splitlines()) == 1, output
    assert "DATABASE_URL" in output


def test_it_repairs_a_half_finished_database(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "base").mkdir()
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18\n")
    port = free_port()
    served = _serve(tmp_path, PORT=str(port))
    wait_for("the home page", lambda: _answers(f"http://127.0.0.1:{port}/"), 120)
    served.send_signal(signal.SIGTERM)
    assert served.wait(10) == 0
