"""Who sends: the resource of this process's spans and log records."""

import os
import socket
from typing import Any

from opentelemetry.sdk.resources import Resource

from telemetry import identity


def of(service: str) -> Resource:
    """What OTEL_RESOURCE_ATTRIBUTES and the resource detectors say, and what we know where they are silent."""
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    own: dict[str, Any] = {"host.name": socket.gethostname(), "process.pid": os.getpid()}
    own = {name: value for name, value in own.items() if f"{name}=" not in given}
    return Resource.create(own | identity.attributes(service))
