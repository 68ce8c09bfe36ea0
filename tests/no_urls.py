"""A host that does not include the URLs of telemetry."""

from typing import Any

urlpatterns: list[Any] = []
