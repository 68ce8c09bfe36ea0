"""Periodic tasks that did not run: a ticket for each."""

import time
from collections.abc import Iterator

from procrastinate import App

from telemetry.observe import probe
from telemetry.tickets import Ticket, register

GRACE = 1800.0
"""Seconds after which a task that was due has not run."""
TIMEOUT = 2.0
_LAST = "SELECT task_name, periodic_id, max(defer_timestamp) FROM procrastinate_periodic_defers GROUP BY 1, 2"


def install(app: App) -> None:
    """Have it asked from now on."""
    register("periodic_tasks", lambda: missed(app, time.time()))


def missed(app: App, at: float) -> Iterator[Ticket]:
    """The tasks that were due before `at` (Unix seconds) and were not begun. Those that never ran yet are left out."""
    if not probe.speaks_psycopg():
        return
    with probe.connect("default", "tickets", TIMEOUT) as connection:
        last = {(name, id_): when for name, id_, when in connection.execute(_LAST).fetchall()}
    for key, periodic in app.periodic_registry.periodic_tasks.items():
        due = periodic.croniter.get_prev(ret_type=float, start_time=at - GRACE)
        if key in last and last[key] < due:
            late = (at - due) / 3600
            yield Ticket(
                "periodic_task", key[0], f"The periodic task {key[0]} did not run: it is {late:.0f} hours late."
            )
