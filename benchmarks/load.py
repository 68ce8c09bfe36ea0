"""Customers' pages under load: clients that wait for each answer, and arrivals that do not wait.

The clients are a process of their own on the same processors, so the site has less than the machine. Everything is on,
as it is by default, with the two workers and four threads that the site starts with.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks import databases
from benchmarks.customers import BROWSER, SERVICE, UNLIMITED
from benchmarks.measured import Figure
from harness.stack import BASE_DIR, Stack, running_stack

PATHS = ("/", "/services/", f"/services/{SERVICE}/", f"/book/{SERVICE}/", f"/book/{SERVICE}/?postcode=SE15+4QL")
PROBES = ("/livez", "/readyz", "/api/health")
CLIENTS = (1, 4, 16, 64)
SHARES = (0.5, 0.8, 1.2)
"""Of what the site can do, that arrives by itself."""
SECONDS = 6.0
_GIVEN_UP = 30.0
"""Seconds after which a client has gone."""
_SLOWEST = 3.0
"""p95 of those served at the largest share, against one client alone."""
_PROBE_BOUND = 500.0
"""Milliseconds."""


@dataclass
class Run:
    """What clients saw: milliseconds of each answer, by status; 0 stands for none."""

    seconds: float
    answers: list[tuple[int, float]]

    @property
    def served(self) -> list[float]:
        return [took for status, took in self.answers if status == 200]

    @property
    def rate(self) -> float:
        """Pages served per second."""
        return len(self.served) / self.seconds

    def percentile(self, percent: int) -> float:
        return quantiles(self.served, n=100)[percent - 1]


def figures(quick: bool = False) -> list[Figure]:
    """Pages per second, percentiles, and who is turned away, with so many clients and with such shares of the most."""
    rounds, seconds = (1, 2.0) if quick else (3, SECONDS)
    seen: dict[tuple[str, str, float | None], list[float]] = {}
    with (
        databases.demo_template() as template,
        databases.copy(template) as url,
        TemporaryDirectory() as directory,
        running_stack(Path(directory), url, UNLIMITED, workers=2) as site,
    ):
        _drive(site, "closed", 4, seconds)  # what is compiled and kept on first use
        for _ in range(rounds):
            for what, value, unit, bound in _round(site, seconds):
                seen.setdefault((what, unit, bound), []).append(value)
    return [Figure("load", what, values, unit, bound) for (what, unit, bound), values in seen.items()]


def _round(site: Stack, seconds: float) -> Iterator[tuple[str, float, str, float | None]]:
    alone, most = 0.0, 0.0
    for clients in CLIENTS:
        (run,) = _drive(site, "closed", clients, seconds)
        yield from _percentiles("one client" if clients == 1 else f"{clients} clients", run)
        alone, most = alone or run.percentile(95), max(most, run.rate)
    for share in SHARES:
        run, probes = _drive(site, "open", share * most, seconds)
        name, largest = f"{share:.0%} of the most arrives", share == SHARES[-1]
        yield from _percentiles(name, run)
        yield f"{name}: p95 against one client", run.percentile(95) / alone, "×", _SLOWEST if largest else None
        yield f"{name}: turned away or given up", 100 * (1 - len(run.served) / len(run.answers)), "%", None
        assert {status for status, _ in probes.answers} == {200}, probes.answers
        slowest = max(took for _, took in probes.answers)
        yield f"{name}: slowest probe", slowest, "ms", _PROBE_BOUND if largest else None


def _percentiles(name: str, run: Run) -> Iterator[tuple[str, float, str, None]]:
    yield f"{name}: pages", run.rate, "/s", None
    for percent in (50, 95, 99):
        yield f"{name}: p{percent}", run.percentile(percent), "ms", None


def _drive(site: Stack, loop: str, amount: float, seconds: float) -> list[Run]:
    """Of the pages, with so many clients ("closed") or arrivals a second ("open"); then of the probes beside these."""
    command = [sys.executable, "-m", "benchmarks.load", site.url, loop, str(amount), str(seconds)]
    done = subprocess.run(command, cwd=BASE_DIR, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    return [Run(seconds, answers) for answers in json.loads(done.stdout)]


class _Client:
    """A kept-alive connection, opened again when the site has closed it."""

    def __init__(self, url: str) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in {**BROWSER, "Host": "localhost"}.items())
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str, since: float) -> tuple[int, float]:
        """Status, 0 for no answer; milliseconds since then."""
        status = 0
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(_GIVEN_UP):
                status = await self._ask(path)
        if not status:
            self.close()
        return status, (time.perf_counter() - since) * 1000

    async def _ask(self, path: str) -> int:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._writer.write(f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r")[0]
        await self._reader.readexactly(int(length))
        if b"connection: close" in head:
            self.close()
        return int(head[9:12])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


async def _closed_loop(url: str, clients: int, seconds: float) -> list[list[tuple[int, float]]]:
    answers: list[tuple[int, float]] = []
    until = time.perf_counter() + seconds

    async def browse(number: int) -> None:
        client, paths = _Client(url), cycle(PATHS[number % len(PATHS) :] + PATHS[: number % len(PATHS)])
        while time.perf_counter() < until:
            answers.append(await client.get(next(paths), time.perf_counter()))
        client.close()

    await asyncio.gather(*map(browse, range(clients)))
    return [answers]


async def _open_loop(url: str, per_second: float, seconds: float) -> list[list[tuple[int, float]]]:
    """Arrivals at random instants, of which none waits for another; a probe every half second."""
    answers: list[tuple[int, float]] = []
    probes: list[tuple[int, float]] = []
    idle: list[_Client] = []
    chance, paths, under_way = random.Random(1), cycle(PATHS), set[asyncio.Task[None]]()
    began = time.perf_counter()

    async def visit(path: str, since: float) -> None:
        client = idle.pop() if idle else _Client(url)
        answers.append(await client.get(path, since))
        idle.append(client)

    async def probe() -> None:
        for path in cycle(PROBES):
            client = _Client(url)
            probes.append(await client.get(path, time.perf_counter()))
            client.close()
            await asyncio.sleep(0.5)

    probing = asyncio.create_task(probe())
    due = began
    while (due := due + chance.expovariate(per_second)) < began + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(visit(next(paths), due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    probing.cancel()
    for client in idle:
        client.close()
    return [answers, probes]


def main(arguments: Sequence[str]) -> None:
    url, loop, amount, seconds = arguments
    run = (
        _open_loop(url, float(amount), float(seconds))
        if loop == "open"
        else _closed_loop(url, int(amount), float(seconds))
    )
    print(json.dumps(asyncio.run(run)))


if __name__ == "__main__":
    main(sys.argv[1:])
