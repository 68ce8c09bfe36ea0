"""What watching costs: CPU time of the server's processes per request, against the same site with TELEMETRY=off.

All sites run side by side, each with a database of its own. A pair is asked for the same page turn and turn about, five
requests at a time, and the clocks of both sites' processes are read before and after; what is exported or stored late,
and what a site does while it waits for its turn, counts too. So a noisy machine disturbs both of a pair alike.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks import databases
from benchmarks.customers import UNLIMITED, Customer
from benchmarks.measured import Figure
from benchmarks.processes import cpu
from benchmarks.sink import Sink, running_sink
from harness.stack import BASE_DIR, Stack, running_stack

KEPT, WHOLE = "service page", "service page with a postcode"
"""The first is mostly kept from one request to the next, the second rendered whole for each."""
PAGES = {
    KEPT: Customer.service_page,
    WHOLE: Customer.service_page_with_postcode,
    "booking page": Customer.booking_page,
    "booking": Customer.book_next,
}
_ANSWERS = {page: 302 if page == "booking" else 200 for page in PAGES}
ALL_TRACED, TENTH_TRACED, STOCK = "ours, every request traced", "ours, 10 % traced", "stock wiring"
_BOUNDS = {ALL_TRACED: 1.20, TENTH_TRACED: 1.08}
_TURN = 5
"""Requests until it is the other site's turn."""
_SETTLE = 1.3
"""Seconds after which what was queued has left: the exporters and writers wake every second."""


def variants(sink: Sink) -> dict[str, dict[str, str]]:
    """The environment of each site that is compared."""
    tenth = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
    pillar = {"DJANGO_SETTINGS_MODULE": "benchmarks.pillars"}
    return {
        "off": {"TELEMETRY": "off"},
        ALL_TRACED: {**sink.otlp, **sink.sentry},
        TENTH_TRACED: {**sink.otlp, **sink.sentry, **tenth},
        "ours without traces and errors": {},
        "metrics alone": {**pillar, "PILLAR": "metrics"},
        "logs alone": {**pillar, "PILLAR": "logs"},
        "logs alone, over OTLP as well": {**pillar, **sink.logs, "PILLAR": "logs"},
        "traces alone": {**pillar, **sink.otlp, "PILLAR": "traces"},
        "errors alone": {**pillar, **sink.sentry, "PILLAR": "errors"},
        "browser token alone": {**pillar, "PILLAR": "rum"},
        STOCK: {
            **sink.otlp,
            **sink.sentry,
            "TELEMETRY": "off",
            "DJANGO_SETTINGS_MODULE": "benchmarks.stock",
            "STACK_PYTHON": str(BASE_DIR / ".tools" / "stock" / "bin" / "python"),
        },
    }


@dataclass
class Site:
    """One of the compared sites."""

    stack: Stack
    customer: Customer
    database: str

    def cpu(self) -> float:
        """Seconds of CPU all its processes have used."""
        return cpu(self.stack.web.pid)

    def tidy(self) -> None:
        """No bookings, as at the start."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("TRUNCATE bookings_booking, procrastinate_jobs CASCADE")


@contextmanager
def running(
    template: str, sink: Sink, names: Mapping[str, dict[str, str]], directory: Path
) -> Iterator[dict[str, Site]]:
    """Start a site for each name."""
    with ExitStack() as stacks:
        sites = {}
        for number, (name, env) in enumerate(names.items()):
            own = directory / str(number)
            own.mkdir()
            database = stacks.enter_context(databases.copy(template))
            stack = stacks.enter_context(running_stack(own, database, {**UNLIMITED, **env}, workers=1, threads=4))
            sites[name] = Site(stack, Customer(stack.url), database)
        yield sites


def measure(site: Site, base: Site, page: str, requests: int) -> tuple[float, float]:
    """Milliseconds of CPU per request of a page, of a site and of the one it is compared with, turn and turn about."""
    pair = (site, base)
    for each in pair if page == "booking" else ():
        each.tidy()
        each.customer.find_slots()
    before = [each.cpu() for each in pair]
    for turn in range(requests // _TURN):
        for each in pair[:: 1 if turn % 2 else -1]:
            for _ in range(_TURN):
                status = PAGES[page](each.customer)
                assert status == _ANSWERS[page], f"{page} answered {status}\n{each.stack.log_text[-3000:]}"
    time.sleep(_SETTLE)
    mine, others = ((each.cpu() - used) / requests * 1000 for each, used in zip(pair, before, strict=True))
    return mine, others


def compare(
    sites: Mapping[str, Site], pages: Sequence[str], rounds: int, requests: int
) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """By page and site: the milliseconds of each round, and those of "off" in the same round."""
    base = sites["off"]
    taken: dict[str, dict[str, list[tuple[float, float]]]] = {page: {} for page in pages}
    for site in sites.values():
        for page in pages:  # what is loaded and compiled on first use
            measure(site, base, page, 2 * _TURN)
    for _ in range(rounds):
        for name, site in sites.items():
            for page in pages if site is not base else ():
                taken[page].setdefault(name, []).append(measure(site, base, page, requests))
    return taken


def ratios(rounds: Sequence[tuple[float, float]]) -> list[float]:
    """Each round's site relative to its neighbour."""
    return [mine / others for mine, others in rounds]


def figures(quick: bool = False) -> list[Figure]:
    """The ratio of each site to the one with TELEMETRY=off, page by page."""
    with running_sink() as sink, databases.demo_template() as template, TemporaryDirectory() as directory:
        names = variants(sink)
        if quick:
            names = {name: env for name, env in names.items() if name in ("off", *_BOUNDS)}
        with running(template, sink, names, Path(directory)) as sites:
            judged = {name: site for name, site in sites.items() if name == "off" or name in (*_BOUNDS, STOCK)}
            taken = compare(judged, list(PAGES), 3 if quick else 5, 40 if quick else 120)
            parts = {name: site for name, site in sites.items() if name == "off" or name not in judged}
            if len(parts) > 1:
                taken[WHOLE] |= compare(parts, [WHOLE], 3, 120)[WHOLE]
    made = []
    for page, by_site in taken.items():
        for name, rounds in by_site.items():
            made.append(Figure("overhead", f"{page}: {name}", ratios(rounds), bound=_BOUNDS.get(name)))
        off = [others for rounds in by_site.values() for _, others in rounds]
        made.append(Figure("overhead", f"{page}: CPU with TELEMETRY=off", off, "ms"))
        added = [mine - others for mine, others in by_site[ALL_TRACED]]
        made.append(Figure("overhead", f"{page}: CPU that {ALL_TRACED}, adds", added, "ms"))
    return made
