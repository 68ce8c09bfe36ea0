"""Whether the host's databases beside the default one answer: a check each, by the alias."""

import os
from functools import partial

from django.db import DEFAULT_DB_ALIAS

from telemetry import health
from telemetry.conf import databases
from telemetry.health import State
from telemetry.observe import pool
from telemetry.observe.probe import DatabaseProbe

TIMEOUT = 2.0
"""Seconds a database gets to answer."""


def register() -> None:
    """Ask each from now on, in a process that uses it."""
    for alias in databases():
        if alias != DEFAULT_DB_ALIAS:
            probe = DatabaseProbe(alias)
            os.register_at_fork(after_in_child=probe.forget)
            health.register(alias, partial(_ask, alias, probe))


def _ask(alias: str, probe: DatabaseProbe) -> State:
    if alias not in pool.registries():  # not used here, or of another engine
        return "disabled"
    return "ok" if probe.check(TIMEOUT).ok else "degraded"
