"""What a request or task did before it failed, as Sentry's breadcrumbs: bounded names, and no data.

Queries by their summary, outgoing calls by host, log lines by the name of their event.
"""

import time
from collections import deque
from typing import Any

from telemetry.context import Observation

MOST = 50
"""The latest that an event has."""


def leave(observation: Observation, category: str, message: str, level: str) -> None:
    """Note a step."""
    if observation.trail is None:
        observation.trail = deque(maxlen=MOST)
    observation.trail.append((time.time(), category, message, level))


def of(observation: Observation | None) -> list[dict[str, Any]]:
    """Its steps so far, oldest first."""
    trail = observation.trail if observation is not None else None
    return [
        {"timestamp": at, "category": category, "message": message, "level": level}
        for at, category, message, level in list(trail or ())
    ]
