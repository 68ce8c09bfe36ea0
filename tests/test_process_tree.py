"""Whoever ends a run of tests, faults or benchmarks, or the run itself, ends all that it started within seconds."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from harness.stack import BASE_DIR, wait_for

pytestmark = [pytest.mark.timing, pytest.mark.waits]
WITHIN = 8.0  # s; the bound is what people accept, a run takes about three
RUN = """
    import subprocess, sys
    from tests import run
    run.CHECKS = {}
    options = ["-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    run.TESTS = {"tests": ["python", "-m", "pytest", *options, *sys.argv[1:]]}
    sys.argv = sys.argv[:1]
    sys.exit(run.main())
"""
HANGING_TEST = """
    import os, pathlib, subprocess, sys, time, pytest
    from harness.stack import running_stack

    daemon = "import os, time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"

    @pytest.mark.parametrize("number", range(2))
    def test_it_waits(tmp_path, number):
        with running_stack(tmp_path, os.environ["DATABASE_URL"]) as site:
            orphan = subprocess.Popen([sys.executable, "-c", daemon], stdout=subprocess.PIPE).stdout.readline()
            stubborn = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True)
            stubborn.stdout.readline()
            pids = [os.getpid(), int(orphan), stubborn.pid, site.web.pid]
            place = pathlib.Path(os.environ["PIDS"])
            (place / f".{os.getpid()}").write_text(" ".join(map(str, pids)))
            (place / f".{os.getpid()}").rename(place / f"test-{os.getpid()}")
            time.sleep(600)
"""


def a_run(tmp_path: Path, *options: str) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """tests.run with one file of tests that hang, and every process of it."""
    file = tmp_path / "test_hanging.py"
    file.write_text(textwrap.dedent(HANGING_TEST))
    (tmp_path / "run.py").write_text(textwrap.dedent(RUN))
    pids = tmp_path / "pids"
    pids.mkdir()
    workers = 2 if options else 1
    root = subprocess.Popen(
        [sys.executable, str(tmp_path / "run.py"), str(file), *options],
        cwd=BASE_DIR,
        env={**os.environ, "PIDS": str(pids), "PYTHONPATH": str(BASE_DIR)},
        stdout=(tmp_path / "output").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    wait_for("the tests", lambda: root.poll() is not None or len(list(pids.glob("test-*"))) == workers, 90)
    assert root.poll() is None, (tmp_path / "output").read_text()
    told = [int(pid) for path in pids.glob("test-*") for pid in path.read_text().split()]
    known = psutil.Process(root.pid).children(recursive=True) + [psutil.Process(pid) for pid in told]
    return root, list(set(known))


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("told", "options"),
    [(signal.SIGTERM, ("-n", "2")), (signal.SIGINT, ()), (signal.SIGKILL, ("-n", "2"))],
    ids=["SIGTERM", "SIGINT", "SIGKILL"],
)
def test_a_run_of_tests_ends_with_all_it_started(
    tmp_path: Path, told: signal.Signals, options: tuple[str, ...]
) -> None:
    root, processes = a_run(tmp_path, *options)
    assert len(processes) >= 5
    root.send_signal(told)
    try:
        root.wait(WITHIN)
        wait_for("the processes to end", lambda: not alive(processes), WITHIN)
    finally:
        for each in alive(processes):
            each.kill()
    assert root.returncode == (-told if told == signal.SIGKILL else 128 + told)


def test_pytest_ends_with_all_it_started(tmp_path: Path) -> None:
    root, processes = a_run(tmp_path)
    runner = next(each for each in psutil.Process(root.pid).children() if "pytest" in each.cmdline())
    runner.send_signal(signal.SIGTERM)
    try:
        wait_for("the processes to end", lambda: not alive(processes), WITHIN)
    finally:
        for each in alive([*processes, psutil.Process(root.pid)]):
            each.kill()
    assert root.wait(5) != 0


ROOT = """
    import subprocess, sys, time
    from contextlib import contextmanager
    from pathlib import Path
    from xfhandyman import process_tree

    @contextmanager
    def place():
        try:
            yield
        finally:
            Path(sys.argv[1], "left").touch()
            time.sleep(float(sys.argv[2]))

    process_tree.lead(clean_up=True)
    with place():
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        print(flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("cleaning", [0, 600])
def test_a_session_cleans_up_but_not_forever(tmp_path: Path, cleaning: int) -> None:
    root = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ROOT), str(tmp_path), str(cleaning)],
        cwd=BASE_DIR,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert root.stdout is not None
    root.stdout.readline()
    processes = psutil.Process(root.pid).children(recursive=True)
    root.terminate()
    assert root.wait(12) == 128 + signal.SIGTERM
    assert (tmp_path / "left").exists()
    assert not alive(processes)


@pytest.mark.parametrize("module", ["ops.drills", "ops.chaos", "ops.scale", "ops.observe", "ops.image", "benchmarks"])
def test_every_long_command_leads_its_processes(module: str) -> None:
    path = BASE_DIR / module.replace(".", "/")
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__main__.py"
    assert "process_tree.lead(clean_up=True)" in source.read_text()
