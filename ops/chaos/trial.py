"""One trial: load, one or several faults, recovery, and the judgement."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg

from ops.chaos.faults import Fault
from ops.chaos.invariants import Verdict, judge, under_way
from ops.chaos.load import Load
from ops.chaos.scene import DEPOSIT_SLUG, Scene

SLUGS = ("tap-repair", "light-fitting", "shelves", "tv-mounting", "door-repair", "flat-pack", "smart-doorbell")
READERS = ("/livez", "/privacy/", "/contact/", "/contact/thanks/", "/robots.txt", "/manifest.webmanifest")
"""Pages that need neither the database nor anything else that a fault takes away."""
ENOUGH = 6
"""Bookings acknowledged before a fault, and after its end for the site to count as recovered."""
LIMIT = 120.0
"""Seconds for the site to recover, and for e-mails to leave."""


@dataclass
class Result:
    """What a trial showed. `recovered`: seconds from the end of the last fault to the last failed answer.

    `wrong`: what should not have been; empty when it passed.
    """

    name: str
    tried: int
    acknowledged: int
    verdict: Verdict
    failed: Counter[str]
    reading_failed: Counter[str]
    read: int
    recovered: float
    wrong: list[str] = field(default_factory=list)


def run(scene: Scene, name: str, faults: Sequence[Fault]) -> Result:
    """Inject one fault after the other under load, wait for recovery and for the e-mails to leave, and judge."""
    wrong: list[str] = []
    lifted = 0.0
    with Load(scene.site.url, SLUGS, pages=READERS, deposit_slug=DEPOSIT_SLUG if scene.deposits else "") as load:
        for fault in faults:
            lifted = _injected(scene, load, fault, wrong)
    with psycopg.connect(scene.database_url, autocommit=True) as connection:
        if not _await(lambda: not under_way(connection, load.orders)):
            wrong.append(f"e-mails or payments still under way {LIMIT:.0f} s later")
        verdict = judge(connection, load.orders, scene.mailbox.post)
    wrong += verdict.told + load.wrong
    if any(order.outcome == "unknown" for order in load.orders):
        wrong.append("a customer never got an answer")
    for what, answers, allowed in (
        ("booking", load.booking, {each for fault in faults for each in fault.booking}),
        ("pages", load.reading, {each for fault in faults for each in fault.reading}),
    ):
        wrong += [f"{what}: {each} at {path}" for _, each, path in answers.failures if each not in allowed]
    return Result(
        name,
        len(load.orders),
        sum(order.outcome == "acknowledged" for order in load.orders),
        verdict,
        load.booking.failed(),
        load.reading.failed(),
        load.reading.classes.total(),
        max([0.0, *(at - lifted for at, _, _ in load.booking.failures)]),
        wrong,
    )


def _injected(scene: Scene, load: Load, fault: Fault, wrong: list[str]) -> float:
    """When the fault was over, in seconds of time.monotonic()."""
    began = time.monotonic()
    if not _await(lambda: load.acknowledged_since(began) >= ENOUGH):
        wrong.append(f"no {ENOUGH} bookings within {LIMIT:.0f} s before the fault")
    with fault.inject(scene):
        for check in fault.checks:
            wrong += check(scene)
    lifted = time.monotonic()
    if not _await(lambda: load.acknowledged_since(lifted) >= ENOUGH):
        wrong.append(f"no {ENOUGH} bookings within {LIMIT:.0f} s of the end of the fault")
    return lifted


def _await(probe: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if probe():
            return True
        time.sleep(0.1)
    return False
