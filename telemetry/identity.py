"""Who speaks, in OpenTelemetry's words: the same names and values in spans and in log lines."""

import os
from urllib.parse import unquote

from telemetry.conf import conf


def attributes(service: str = "") -> dict[str, str]:
    """`service.name`, `service.version` and `deployment.environment.name` of this process.

    OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before the settings, as OpenTelemetry's specification says.
    `service`: the name that the process has where they give none.
    """
    said = {
        "service.name": service or conf.service_name,
        "service.version": conf.release,
        "deployment.environment.name": conf.environment,
    }
    for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        name, _, value = (part.strip() for part in pair.partition("="))
        if name in said and value:
            said[name] = unquote(value)
    said["service.name"] = os.environ.get("OTEL_SERVICE_NAME", "").strip() or said["service.name"]
    return said
