"""How long a web process takes to import and to answer first, what memory each worker has, and what a site costs
that nobody visits."""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks import databases
from benchmarks.customers import Customer
from benchmarks.measured import Figure
from benchmarks.sink import running_sink
from harness.stack import BASE_DIR, running_stack

_IMPORT = "import time; t = time.process_time(); import xfhandyman.wsgi; print(time.process_time() - t)"


def figures(quick: bool = False) -> list[Figure]:
    """Ours with everything on beside TELEMETRY=off, in alternation."""
    rounds = 2 if quick else 5
    found: dict[str, list[float]] = {}
    with running_sink() as sink, databases.demo_template() as template, databases.copy(template) as url:
        sites = {"off": {"TELEMETRY": "off"}, "ours": {**sink.otlp, **sink.sentry}}
        for _ in range(rounds):
            for name, env in sites.items():
                found.setdefault(f"import: {name}", []).append(_import_seconds(url, env))
                answered, memory = _first_answer(url, env)
                found.setdefault(f"first response: {name}", []).append(answered)
                found.setdefault(f"memory of a worker: {name}", []).append(memory)
        idle = _idle(template, sites, 1 if quick else 4)
    units = {"import": "s CPU", "first response": "s", "memory of a worker": "MB"}
    made = []
    for what, unit in units.items():
        made += [Figure("start", f"{what}: {name}", found[f"{what}: {name}"], unit) for name in sites]
    made += [Figure("idle", f"web and task worker: {name}", shares, "% of a core") for name, shares in idle.items()]
    more = [ours - off for ours, off in zip(idle["ours"], idle["off"], strict=True)]
    return [*made, Figure("idle", "ours more than off", more, "% of a core", bound=1)]


def _idle(template: str, sites: dict[str, dict[str, str]], rounds: int) -> dict[str, list[float]]:
    """Percent of a core that each site takes while nobody asks it anything: two workers and the task worker."""
    with ExitStack() as running:
        groups = {}
        for name, env in sites.items():
            directory, url = (
                running.enter_context(TemporaryDirectory()),
                running.enter_context(databases.copy(template)),
            )
            stack = running.enter_context(running_stack(Path(directory), url, env, workers=2, worker=True))
            Customer(stack.url).booking_page()
            assert stack.worker is not None
            groups[name] = [
                process
                for parent in (stack.web.pid, stack.worker.pid)
                for process in (psutil.Process(parent), *psutil.Process(parent).children(recursive=True))
            ]
        shares: dict[str, list[float]] = {name: [] for name in sites}
        time.sleep(10)  # what follows a start is over
        for _ in range(rounds):
            before = {name: _cpu(group) for name, group in groups.items()}
            time.sleep(20)
            for name, group in groups.items():
                shares[name].append((_cpu(group) - before[name]) / 20 * 100)
        return shares


def _cpu(group: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in group)


def _import_seconds(url: str, env: dict[str, str]) -> float:
    """CPU seconds to import the application."""
    environment = {**databases.environment(url), **env}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], cwd=BASE_DIR, env=environment, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def _first_answer(url: str, env: dict[str, str]) -> tuple[float, float]:
    """Seconds from the start of gunicorn to the first answer; MB (PSS) of a worker after a hundred pages."""
    with TemporaryDirectory() as directory:
        began = time.perf_counter()
        with running_stack(Path(directory), url, env, workers=2) as stack:
            answered = time.perf_counter() - began
            customer = Customer(stack.url)
            for _ in range(50):
                customer.service_page()
                customer.booking_page()
            workers = psutil.Process(stack.web.pid).children()
            memory = [worker.memory_full_info().pss / 2**20 for worker in workers]
    return answered, max(memory)
