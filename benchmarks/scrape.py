"""How long `/metrics` takes and how big it is: after a realistic day, and while all threads of all workers hang."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks import databases
from benchmarks.customers import UNLIMITED, Customer
from benchmarks.measured import Figure
from harness.stack import Stack, running_stack, wait_for

_PATHS = (
    "/",
    "/services/",
    "/services/tap-repair/",
    "/book/tap-repair/",
    "/contact/",
    "/privacy/",
    "/robots.txt",
    "/sitemap.xml",
    "/livez",
    "/api/health",
    "/static/css/nothing.css",
    "/wp-login.php",
    "/.env",
)
_WORKERS, _THREADS = 2, 4


def figures(quick: bool = False) -> list[Figure]:
    """Twenty scrapes of each kind."""
    scrapes = 5 if quick else 20
    with (
        databases.demo_template() as template,
        databases.copy(template) as url,
        TemporaryDirectory() as directory,
        running_stack(
            Path(directory),
            url,
            {**UNLIMITED, "DB_STATEMENT_TIMEOUT": "60"},
            workers=_WORKERS,
            threads=_THREADS,
        ) as stack,
    ):
        _live_a_day(stack)
        after = [_scrape(stack) for _ in range(scrapes)]
        with psycopg.connect(url) as lock:
            lock.execute("LOCK TABLE bookings_service IN ACCESS EXCLUSIVE MODE")
            with ThreadPoolExecutor(_WORKERS * _THREADS * 6) as pool:  # gunicorn shares them out unevenly
                asked = [pool.submit(_ask, stack.url) for _ in range(_WORKERS * _THREADS * 6)]
                wait_for("every thread to be stuck", lambda: _busy(stack) >= _WORKERS * _THREADS, 30)
                stuck = [_scrape(stack) for _ in range(scrapes)]
                lock.rollback()
                for answer in asked:
                    answer.result()
    made = []
    for when, taken in (("after a day", after), ("all threads stuck", stuck)):
        made.append(Figure("scrape", f"{when}: time", [seconds * 1000 for seconds, _ in taken], "ms"))
        made.append(Figure("scrape", f"{when}: size", [len(text) / 1024 for _, text in taken], "KB"))
    series = sum(1 for line in after[-1][1].splitlines() if not line.startswith("#"))
    made.append(Figure("scrape", "after a day: series", [float(series)], ""))
    return made


def _live_a_day(stack: Stack) -> None:
    """Everything customers, crawlers and scanners ask for, from a few sides at once, with some bookings."""

    def live(number: int) -> None:
        customer = Customer(stack.url)
        for method in ("GET", "HEAD", "POST", "PROPFIND", "OPTIONS"):
            for path in _PATHS:
                customer.send(method, path)
        slots = customer.find_slots()
        for slot in slots[number * 20 : number * 20 + 10]:
            customer.book(slot)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, range(4)))


def _scrape(stack: Stack) -> tuple[float, str]:
    began = time.perf_counter()
    status, text = stack.get(stack.metrics_url, timeout=30)
    assert status == 200, text
    return time.perf_counter() - began, text


def _ask(url: str) -> None:
    try:
        Customer(url).service_page()
    except OSError:  # the worker was too busy for it
        return


def _busy(stack: Stack) -> float:
    """Threads that answer a request, of all workers."""
    _, text = _scrape(stack)
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("http_threads_busy{"))
