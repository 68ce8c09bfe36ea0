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

_IMPORT = """
import gc, os, time
gc.disable()  # as gunicorn.conf.py does
__import__(os.environ["DJANGO_SETTINGS_MODULE"].replace("settings", "wsgi"))
from django.urls import get_resolver
get_resolver().url_patterns
print(time.process_time())
"""
_UNITS = {"import": "s CPU", "first response": "s", "memory of a worker": "MB", "RSS of a worker": "MB"}
_EMPTY = {"DJANGO_SETTINGS_MODULE": "benchmarks.empty.settings"}
_BOUNDS = {"import": 0.5, "first response": 1.0, "memory of a worker": 65.0}


def figures(quick: bool = False) -> list[Figure]:
    """Ours with everything on beside TELEMETRY=off, in alternation."""
    rounds = 2 if quick else 5
    found: dict[str, list[float]] = {}
    with running_sink() as sink, databases.demo_template() as template, databases.copy(template) as url:
        sites = {"off": {"TELEMETRY": "off"}, "ours": {**sink.otlp, **sink.sentry}}
        for _ in range(rounds):
            found.setdefault("import: the packages alone", []).append(_import_seconds(url, _EMPTY))
            for name, env in sites.items():
                found.setdefault(f"import: {name}", []).append(_import_seconds(url, env))
                answered, memory, resident = _first_answer(url, env)
                found.setdefault(f"first response: {name}", []).append(answered)
                found.setdefault(f"memory of a worker: {name}", []).append(memory)
                found.setdefault(f"RSS of a worker: {name}", []).append(resident)
        idle = _idle(template, sites, 1 if quick else 4)
    made = []
    for what, values in sorted(found.items()):
        kind, _, name = what.partition(": ")
        made.append(Figure("start", what, values, _UNITS[kind], _BOUNDS.get(kind) if name in sites else None))
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
    """CPU seconds of a process that loads a site with its addresses; all rounds but the first have its bytecode."""
    environment = {**databases.environment(url), **env}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], cwd=BASE_DIR, env=environment, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def _first_answer(url: str, env: dict[str, str]) -> tuple[float, float, float]:
    """Seconds from the start of gunicorn to the first answer; MB of a worker after a hundred pages: PSS and RSS."""
    with TemporaryDirectory() as directory:
        began = time.perf_counter()
        with running_stack(Path(directory), url, env, workers=2) as stack:
            answered = time.perf_counter() - began
            customer = Customer(stack.url)
            for _ in range(50):
                customer.service_page()
                customer.booking_page()
            workers = psutil.Process(stack.web.pid).children()
            memory = [worker.memory_full_info() for worker in workers]
    return answered, max(each.pss for each in memory) / 2**20, max(each.rss for each in memory) / 2**20
