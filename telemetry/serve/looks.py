"""What this process sees of itself in about a second: one `Look` for the diagnosis."""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from itertools import takewhile

from django.db import DEFAULT_DB_ALIAS

from telemetry import health, signals
from telemetry import work as kinds
from telemetry.conf import conf, databases
from telemetry.diagnosis import locks
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.model import Lock, Look, Pool
from telemetry.health.memory import memory_limit
from telemetry.observe import browsers, pool, probe, proc, queueing, work
from telemetry.observe.activity import Activity, RouteLook, Running, Spent
from telemetry.observe.drivers import psutil
from telemetry.observe.queries import label_of
from telemetry.observe.snapshot import Held, Snapshot

STUCK = 0.5
"""Seconds a query runs before the database is asked whether it waits for a lock."""
TROUBLED = 1.0
"""Seconds a query runs, or nobody has asked for EVERY, before the database is asked whether it answers."""
EVERY = 5.0
TIMEOUT = 2.0
"""Seconds the database gets to answer; longer than health gives it, so that a busy machine is not called down."""
SILENT = 0.5
"""Seconds without an answer from which the answer is waited for before anything is concluded."""
HELD = 0.5
"""Seconds from which a connection that runs no query counts as held."""
BUSY, FULL = 0.85, 0.9
"""Processors of a Python process, and share of the host's, from which work waits for them."""

_HELD_AS = {
    "idle_in_transaction": "idle in a transaction",
    "idle": "without running a query",
    "leaked": "by ended work",
}


class Observer:
    """Makes the looks of one process. Not safe for several threads."""

    def __init__(self, process: str, board: Board) -> None:
        self._process, self._board = process, board
        self._cpu = sum(os.times()[:2])
        self._at = time.monotonic()
        self._reach = Reach()
        self._busiest = _Busiest()
        self._memory_limit = memory_limit() if psutil is not None else 0
        _machine()  # begins its window

    def look(self) -> Look:
        """Return what was seen since the last one: the one place where a process's own figures are read."""
        registries = pool.registries()
        snapshots = {alias: each.snapshot() for alias, each in registries.items()}
        snapshot = snapshots[DEFAULT_DB_ALIAS]
        now = time.monotonic()
        window, self._at = max(now - self._at, 0.001), now
        waiting = queueing.waiting()
        memory, host_cpu = _machine()
        look = Look(
            at=snapshot.at,
            window=window,
            pid=os.getpid(),
            process="worker" if self._process == "worker" else "web",
            release=conf.release,
            routes=work.ledger.look(waiting),
            queued=len(waiting),
            pools={
                alias if databases() else "": _pool(seen, registries[alias].idle) for alias, seen in snapshots.items()
            },
            connections_lost=snapshot.lost,
            queries=_running(snapshots.values()),
            host_cpu=host_cpu,
            memory=memory,
            memory_limit=self._memory_limit,
            facts={check.name: check.state for check in health.checks()},
            good_at={check.name: check.good_at for check in health.checks() if check.good_at},
            flows=signals.seen(),
            kinds={name: kind.says for name, kind in kinds.declared_by_host().items()},
            browsers=browsers.reports.take(),
        )
        if self._process == "worker":
            look.tasks_due, look.tasks_oldest = queueing.backlog()
        look.cpu_seconds = sum(os.times()[:2])
        look.cpu, self._cpu = (look.cpu_seconds - self._cpu) / window, look.cpu_seconds
        if self._process == "web":
            look.threads = conf.web_threads
            look.busy = work.busy()
        if look.host_cpu >= FULL and self._board.hold("processors"):  # one of a host: all would see the same
            look.cpu_users = self._busiest.users(window)
        _starving(look)
        for alias, seen in snapshots.items():
            _holding(look, seen, window)
            if alias != DEFAULT_DB_ALIAS:  # whether it answers is asked by its check
                look.locks += _locks(alias, seen)
        self._database(look, snapshot)
        return look

    def _database(self, look: Look, snapshot: Snapshot) -> None:
        queries = [held for held in snapshot.held if held.state == "query"]
        oldest = max((held.age for held in queries), default=0.0)
        # Whoever waits while the pool is not at its size waits for a connection that the database does not give.
        wanting = snapshot.waiting > 0 and len(snapshot.held) < snapshot.max_size
        troubled = oldest >= TROUBLED or snapshot.timeouts > 0 or snapshot.lost > 0 or wanting
        look.database, look.database_since = self._reach.state(snapshot, troubled, oldest, wanting)
        look.database_at = self._reach.asked_at
        look.database_users = self._reach.users if look.database == "full" else {}
        if look.database in ("ok", "unknown"):
            look.locks += _locks(DEFAULT_DB_ALIAS, snapshot)


def _machine() -> tuple[int, float]:
    """Resident bytes of this process, and the share of the host's processors in use since the last call; 0 unknown."""
    if psutil is None:
        return 0, 0.0
    return psutil.Process().memory_info().rss, psutil.cpu_percent() / 100


class Reach:
    """Whether the database answers, asked in a thread of its own so that a look never waits for it."""

    def __init__(self) -> None:
        self._asking: threading.Thread | None = None
        self._asked = 0.0
        self._answers = deque[tuple[float, str]](maxlen=5)
        self._bad_since = 0.0
        self.users: dict[str, int] = {}
        """Connections by who has them, when the database last took no more."""

    @property
    def asked_at(self) -> float:
        """When the last answer was asked for (Unix seconds); 0 before the first."""
        return self._answers[-1][0] if self._answers else 0.0

    def state(self, snapshot: Snapshot, troubled: bool, oldest: float, wanting: bool = False) -> tuple[str, float]:
        """Return the last answer, and since when it has not been reached (Unix seconds, 0 when it is).

        "asking" while it is silent and nothing is known yet. `oldest`: age of the oldest running query (s). `wanting`:
        whether the pool asks for a connection and does not get it.
        """
        now = time.monotonic()
        known = probe.database.last
        bad = (known is not None and not known.ok) or (bool(self._answers) and self._answers[-1][1] != "ok")
        due = troubled or bad or now - self._asked >= EVERY
        if due and (self._asking is None or not self._asking.is_alive()):
            self._asked = now
            self._asking = threading.Thread(
                target=self._ask, args=(snapshot.at, wanting), name="telemetry-reach", daemon=True
            )
            self._asking.start()
        if snapshot.timeouts or snapshot.lost or wanting:
            self._bad_since = self._bad_since or snapshot.troubled_since
        silent = self._asking is not None and self._asking.is_alive() and now - self._asked >= SILENT
        if troubled and silent and (not self._answers or self._answers[-1][1] == "ok"):
            return "asking", 0.0
        if not self._answers:
            return "unknown", 0.0
        state = self._answers[-1][1]
        if state == "ok":
            if not troubled:
                self._bad_since = 0.0
            return "ok", 0.0
        again = len(self._answers) >= 2 and self._answers[-2][1] != "ok"
        if state == "timeout" and not again and oldest < TIMEOUT:
            return "asking", 0.0  # one silence may be a busy machine, unless a query has met it as well
        unanswered = list(takewhile(lambda answer: answer[1] != "ok", reversed(self._answers)))
        self._bad_since = self._bad_since or unanswered[-1][0]
        return state, self._bad_since

    def _ask(self, at: float, wanting: bool) -> None:
        found = probe.database.check(TIMEOUT)
        users = probe.full() if found.ok and wanting else None
        self.users = users or self.users
        self._answers.append((at, "full" if users is not None else "ok" if found.ok else found.reason))


class _Busiest:
    """Who uses the processors, asked while there are none left: one read of /proc for each process."""

    def __init__(self) -> None:
        self._before: dict[str, float] = {}

    def users(self, window: float) -> dict[str, float]:
        """Return processors used by program since the last time, this site's own processes under "this site"."""
        group, now, found = os.getpgrp(), dict[str, float](), dict[str, float]()
        for pid in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
            process = proc.stat(f"/proc/{pid}/stat")
            if process is None:
                continue
            now[pid] = process.cpu
            used = (now[pid] - self._before.get(pid, now[pid])) / window
            if used >= 0.05:
                name = "this site" if process.group == group else process.name
                found[name] = found.get(name, 0.0) + used
        self._before = now
        return dict(sorted(found.items(), key=lambda user: -user[1])[:5])


def _starving(look: Look) -> None:
    """Python that waits while no processor is free waits for one: the interpreter of its process, or the host's."""
    if look.cpu < BUSY and look.host_cpu < FULL:
        return
    other, runnable = Activity("other"), Activity("runnable")
    for route in look.routes.values():
        if other in route.spent:
            route.spent[runnable] = route.spent.pop(other)
        if other in route.now:
            route.now[runnable] = route.now.pop(other)


def _holding(look: Look, snapshot: Snapshot, window: float) -> None:
    """Account connections that are held without a query: nobody else can have them."""
    for held in snapshot.held:
        if held.state == "query" or held.age < HELD or not (held.ended or held.state == "leaked"):
            continue  # a request that goes on between two queries is accounted by what it does there
        route = look.routes.setdefault(_route(held), RouteLook())
        activity = Activity("held", _HELD_AS[held.state])
        now = route.now.get(activity, Running(0, 0.0))
        route.now[activity] = Running(now.number + 1, max(now.oldest, held.age))
        route.spent[activity] = route.spent.get(activity, Spent()) + Spent(min(held.age, window), 0)


def _locks(alias: str, snapshot: Snapshot) -> list[Lock]:
    stuck = [held for held in snapshot.held if held.state == "query" and held.age >= STUCK]
    return locks.waiting(stuck, snapshot.held, alias) if stuck else []


def _pool(snapshot: Snapshot, idle: int) -> Pool:
    return Pool(
        size=snapshot.max_size,
        in_use=snapshot.in_use,
        waiting=snapshot.waiting,
        timeouts=snapshot.timeouts,
        returned=snapshot.returned,
        queued=snapshot.queued,
        active=len(snapshot.held),
        idle=idle,
    )


def _running(snapshots: Iterable[Snapshot]) -> dict[str, tuple[int, float]]:
    ages: dict[str, list[float]] = {}
    for held in (held for snapshot in snapshots for held in snapshot.held if held.state == "query"):
        ages.setdefault(label_of(held.query), []).append(held.age)
    return {name: (len(of_query), max(of_query)) for name, of_query in ages.items()}


def _route(held: Held) -> str:
    return held.route or "background work"
