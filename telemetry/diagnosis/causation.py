"""What follows from what: along what depends on it, and not because both happen at once. Pure."""

from telemetry.diagnosis import attribution, signals
from telemetry.diagnosis.model import Cause, Symptom
from telemetry.diagnosis.signals import Finding

OF_DATABASE = frozenset({"query", "commit", "lock", "held", "database", "error:query", "error:pool"})
"""Kinds of cause that a database which does not answer brings with it."""
BESIDE = frozenset({"flow", "browser", "script", "tasks", "worker", "memory"})
"""Causes that are not seconds of work."""
_WEB = ("errors", "database_down", "process_silent", "process_gone", "workers_dying", *signals.WAITING)
"""Symptoms that customers meet."""


def explains(symptom: Symptom, cause: Cause, finding: Finding) -> bool:
    """Whether a cause brings the finding about: along what depends on it, and not because both happen at once."""
    other = finding.cause
    if cause.key == other.key:
        return True
    if cause.kind in BESIDE or other.kind in BESIDE:
        return _stops(symptom, cause, other)
    if cause.kind == other.kind and attribution.EVERY_PAGE in (cause.component, other.component):
        return True
    if other.kind == "error:pool" and symptom.name in ("pool_exhausted", "threads_exhausted"):
        return True
    if cause.factor == "operations" and other.kind == "cpu" and other.route == cause.route:
        return True  # each operation takes Python as well: to build it, and to read what came
    if symptom.name == "database_down":
        return other.kind in OF_DATABASE or other.kind in ("requests", "unknown")
    if cause.kind in ("query", "commit", "lock", "held", "database"):
        # A slow or locked table ends in statement time-outs, and in clients that ask again.
        # Other queries that slow down with it without waiting for a lock share what slows it.
        return other.kind in ("error:query", "error:pool", "requests", "held", "unknown") or (
            cause.kind != "lock" and other.kind in ("query", "commit", "database") and other.factor == "duration"
        )
    if cause.kind == "dependency" and symptom.says:  # a database beside the default one, whose queries name it
        return other.component.endswith(f" on {cause.component}") or other.kind in ("error:query", "error:pool")
    if cause.kind in ("dependency", "http", "mail"):
        return other.kind in (f"error:{_channel(cause)}", _channel(cause), "unknown")
    if other.kind == "unknown" and symptom.name not in ("errors", "tasks_failing"):
        return True  # what is left after it: a queue that has to be worked off
    if cause.kind in ("requests", "processor", "cpu"):
        return other.kind in ("query", "commit", "database", "unknown", "error:pool") and other.factor == "duration"
    if symptom.name in ("process_silent", "workers_dying"):
        return other.kind in ("unknown", "requests", "held", "process") or other.factor == "duration"
    return False


def _channel(cause: Cause) -> str:
    if cause.kind == "dependency":
        return "mail" if cause.component == "email" else "http"
    return cause.kind


def _stops(symptom: Symptom, cause: Cause, other: Cause) -> bool:
    """Whether what customers meet explains what they, or their browsers, do no more; tasks need the worker."""
    if cause.kind == "memory":
        return other.key == ("dependency", "memory")
    if other.kind in ("tasks", "worker"):
        return symptom.name == "database_down" or (symptom.name.startswith("process") and symptom.route == "worker")
    if symptom.name.startswith("process"):
        return symptom.route == "web"
    if other.kind == "flow" and other.component == "requests":
        return symptom.name == "workers_dying"
    if other.kind == "script":
        return False
    return symptom.name in _WEB and (other.kind == "flow" or other.detail == "a slow first byte")
