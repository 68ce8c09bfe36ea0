"""Beacons beside a bare view that answers 204 behind the same server, and pages under a load of beacons.

A beacon is judged by the CPU it takes of the server, because the sender works on the same machine. For the same reason
a page under that load is compared with one while as many requests reach the bare view of another site.
"""

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import orjson

from benchmarks import databases
from benchmarks.beacon_load import HEADERS, client
from benchmarks.customers import UNLIMITED, Customer
from benchmarks.measured import Figure
from benchmarks.processes import cpu
from harness.stack import Stack, running_stack

PER_SECOND = 500
_TOKEN = re.compile(rb'data-token="([^"]+)"')
_VIEWS = 50
"""Beacons one token is good for."""
_SITES = {
    "ours": {**UNLIMITED, "RUM_SAMPLE_RATE": "0.1", "TRUSTED_PROXIES": "127.0.0.1"},
    "bare": {"TELEMETRY": "off", "TRUSTED_PROXIES": "127.0.0.1", "DJANGO_SETTINGS_MODULE": "benchmarks.bare"},
}


def figures(quick: bool = False) -> list[Figure]:
    """Rounds in alternation."""
    rounds, number = (3, 200) if quick else (15, 500)
    with ExitStack() as open_:
        template = open_.enter_context(databases.demo_template())
        stacks = {}
        for name, env in _SITES.items():
            url = open_.enter_context(databases.copy(template))
            directory = Path(open_.enter_context(TemporaryDirectory()))
            stacks[name] = open_.enter_context(running_stack(directory, url, env, workers=2, threads=4))
        ours, bare = stacks["ours"], stacks["bare"]
        capacity = []
        for _ in range(rounds + 1):
            bodies = _beacons(ours, number)
            capacity.append(_cpu_of(bare, "/bare", bodies) / _cpu_of(ours, "/api/telemetry", bodies))
        dry, wet, still = _pages(ours, bare, 3 if quick else 8)
    return [
        Figure("ingest", "beacons per second of CPU, against a bare 204 view", capacity[1:], bound=0.7, at_least=True),
        Figure(
            "ingest",
            f"page p95 while {PER_SECOND} beacons/s arrive, against as many bare requests elsewhere",
            [rained / dried for rained, dried in zip(wet, dry, strict=True)],
            bound=1.15,
        ),
        Figure(
            "ingest",
            f"page p95 while {PER_SECOND} beacons/s arrive, against a still machine (the sender is on it too)",
            [rained / stood for rained, stood in zip(wet, still, strict=True)],
        ),
        Figure("ingest", "page p95 on a still machine", still, "ms"),
    ]


def _beacons(stack: Stack, number: int) -> list[str]:
    """Bodies as browsers send them, none of them twice."""
    tokens = []
    customer = Customer(stack.url)
    for _ in range(number // _VIEWS + 1):
        _, page = customer.send("GET", "/privacy/", headers={"Accept-Encoding": ""})
        found = _TOKEN.search(page)
        assert found is not None, "the page has no beacon"
        tokens.append(found[1].decode())
    return [_body(tokens[at // _VIEWS], at % _VIEWS) for at in range(number)]


def _body(token: str, view: int) -> str:
    vitals = {"LCP": random.uniform(600, 4000), "CLS": random.uniform(0, 0.3), "INP": random.uniform(20, 400)}
    vitals |= {"FCP": random.uniform(300, 2000), "TTFB": random.uniform(50, 900)}
    timings = [0, 0, 1, 5, 6, 60, 90, 120, 200, 300, 300, 310, 0]
    body = {
        "token": token,
        "number": view,
        "view": view,
        "part": 0,
        "navigation": "navigate",
        "vitals": vitals,
        "timings": timings,
    }
    return orjson.dumps({**body, "age": 30_000, "fetches": [], "errors": []}).decode()


def _cpu_of(stack: Stack, path: str, bodies: list[str]) -> float:
    """Seconds of CPU the site used for these."""
    customer = Customer(stack.url)
    before = cpu(stack.web.pid)
    for number, body in enumerate(bodies):
        status, _ = customer.send("POST", path, body, HEADERS | client(number))
        assert status == 204, status
    return cpu(stack.web.pid) - before


def _pages(ours: Stack, bare: Stack, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """p95 (ms) of the service page while requests reach the bare view, while beacons arrive, and on a still machine."""
    dry, wet, still = [], [], []
    customer = Customer(ours.url)
    for _ in range(rounds):
        bodies = _beacons(ours, PER_SECOND * 10)
        still.append(_p95(customer))
        with _load(f"{bare.url}/bare", bodies):
            dry.append(_p95(customer))
        with _load(f"{ours.url}/api/telemetry", bodies):
            wet.append(_p95(customer))
    return dry, wet, still


@contextmanager
def _load(url: str, bodies: list[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.beacon_load", url, str(PER_SECOND)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdin is not None
            process.stdin.write("\n".join(bodies))
            process.stdin.close()
            time.sleep(0.5)
            yield
        finally:
            process.terminate()


def _p95(customer: Customer) -> float:
    taken = []
    for _ in range(200):
        began = time.perf_counter()
        customer.service_page()
        taken.append((time.perf_counter() - began) * 1000)
    return quantiles(taken, n=20)[-1]
