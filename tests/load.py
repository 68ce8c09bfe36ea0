"""Load on the loopback address, bounded in requests and concurrency."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psutil

from harness.stack import Stack


def hammer(url: str, requests: int, *, threads: int = 4) -> tuple[list[int], float]:
    """GET `url` that many times over `threads` kept-alive connections; the statuses, and the seconds it all took."""
    parts = urlsplit(url)

    def work(share: int) -> list[int]:
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        statuses = [_status(connection, parts.path) for _ in range(share)]
        connection.close()
        return statuses

    shares = [requests // threads + (number < requests % threads) for number in range(threads)]
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        statuses = [status for part in pool.map(work, shares) for status in part]
    return statuses, time.perf_counter() - began


def alternate(urls: list[str], rounds: int) -> list[list[float]]:
    """GET each URL in turn, `rounds` times; the seconds each answer took, per URL. Side by side, so noise is shared."""
    parts = [urlsplit(url) for url in urls]
    connections = [http.client.HTTPConnection(part.netloc, timeout=20) for part in parts]
    taken: list[list[float]] = [[] for _ in urls]
    for _ in range(rounds):
        for part, connection, times in zip(parts, connections, taken, strict=True):
            began = time.perf_counter()
            _status(connection, part.path)
            times.append(time.perf_counter() - began)
    for connection in connections:
        connection.close()
    return taken


def cpu_seconds(site: Stack) -> float:
    """CPU time (s) the web processes have taken so far. A busy machine does not change it, as it does the clock."""
    web = psutil.Process(site.web.pid)
    times = [process.cpu_times() for process in (web, *web.children())]
    return sum(each.user + each.system for each in times)


def p95(times: list[float]) -> float:
    """The 95th percentile."""
    return sorted(times)[int(len(times) * 0.95)]


def _status(connection: http.client.HTTPConnection, path: str) -> int:
    for attempt in (1, 2):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            connection.close()  # a worker that was recycled closes its kept-alive connections
            if attempt == 2:
                raise
    raise AssertionError("unreachable")
