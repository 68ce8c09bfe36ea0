"""Asks once an hour what wears out slowly, in one process of a host, and shows it to all."""

import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from telemetry import tickets
from telemetry.conf import here, temporary
from telemetry.diagnosis import slow_burn
from telemetry.diagnosis.board import Board
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.observe import pool
from telemetry.observe.statements import WINDOW
from telemetry.tickets import Ticket

EVERY, FIRST, RETRY = 3600.0, 60.0, 300.0
"""Seconds between two rounds, before the first of a process, and after one in which the database did not answer."""
AGAIN = 86_400.0
"""Seconds after which a ticket that is still open is logged again."""
MOST = 100

log = get_logger("telemetry.tickets")


class Caretaker:
    """`tend` is called every second by one thread, and waits for nothing."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._due = time.monotonic() + FIRST
        self._thread: threading.Thread | None = None
        self._share_due = time.monotonic() + FIRST / 2
        self._kinds = set[str]()

    def tend(self) -> None:
        """Share what this process asks, and begin a round when it is due and this process is the one that makes it."""
        if time.monotonic() >= self._share_due:
            self._share_due = time.monotonic() + WINDOW
            self.share()
        if time.monotonic() < self._due or (self._thread is not None and self._thread.is_alive()):
            return
        self._due = time.monotonic() + EVERY
        if self._board.hold("tickets"):
            self._thread = threading.Thread(target=self.round, name="telemetry-tickets", daemon=True)
            self._thread.start()

    def share(self) -> None:
        """Show the process that makes the rounds which statements this one sends often."""
        self._board.publish_statements(
            [
                [alias, text, calls]
                for alias, registry in pool.registries().items()
                for text, calls in registry.statements.hourly().items()
            ]
        )

    def round(self) -> None:
        """Ask everything once, log what is new or was not logged for a day, and show it."""
        at, kept = time.time(), self._board.tickets()
        if at - kept.get("at", 0.0) < EVERY / 2:
            return  # the process before this one has just asked
        try:
            trends = slow_burn.Trends.from_json(kept["trends"])
        except (KeyError, TypeError, ValueError):
            trends = slow_burn.Trends()
        statements = self._board.statements()
        checks: dict[str, Any] = {
            f"database {alias}": partial(
                slow_burn.tickets, at, trends, alias, server=server, statements=statements.get(alias, {})
            )
            for alias, server in slow_burn.databases()
        }
        checks["disk"] = lambda: _disk(at, trends)
        found = [ticket for name, ask in {**checks, **tickets.checks()}.items() for ticket in self._ask(name, ask)]
        known = {(kind, subject): (since, logged) for kind, subject, _, since, logged in kept.get("open", [])}
        rows = list[Any]()
        for ticket in {(ticket.kind, ticket.subject): ticket for ticket in found[:MOST]}.values():
            since, logged = known.get(ticket[:2], (at, 0.0))
            if at - logged >= AGAIN:
                log.warning(
                    "ticket_opened", kind=ticket.kind, subject=ticket.subject, message=ticket.says, sentry=False
                )
                logged = at
            rows.append([*ticket, since, logged])
        self._board.show_tickets({"at": at, "open": rows, "trends": trends.to_json()})
        self._count([row[0] for row in rows])

    def _ask(self, name: str, ask: Any) -> list[Ticket]:
        try:
            found: Iterable[Ticket] = ask()
            return list(found)
        except Exception as error:  # a fault of a check is no fault of the host
            self._due = min(self._due, time.monotonic() + RETRY)
            log.warning("ticket_check_failed", check=name, error_type=type(error).__name__)
            return []

    def _count(self, kinds: list[str]) -> None:
        for kind in self._kinds | set(kinds):
            catalogue.tickets_open.labels(kind).set(kinds.count(kind))
        self._kinds |= set(kinds)


def _disk(at: float, trends: slow_burn.Trends) -> Iterator[Ticket]:
    """The file systems that this process works on."""
    devices = {path.stat().st_dev: path for path in (temporary(), here()) if path is not None}
    for path in devices.values():
        usage = shutil.disk_usage(path)
        if says := trends.read(f"disk {path}", at, usage.used / usage.total, f"the bytes of the disk of {path}"):
            yield Ticket("disk", str(path), says)
