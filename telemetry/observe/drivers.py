"""Packages that a host may do without: each is a feature less."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings

psycopg: Any
psutil: Any
try:
    import psycopg
except ImportError:
    psycopg = None
try:
    import psutil
except ImportError:
    psutil = None
try:
    from psycopg_pool import PoolTimeout
except ImportError:

    class PoolTimeout(Exception):  # type: ignore[no-redef]  # what nobody raises
        """In the place of psycopg_pool's."""


__all__ = ["PoolTimeout", "missing", "psutil", "psycopg"]


def missing() -> Iterator[tuple[str, str]]:
    """The packages that are not installed where they would serve, and what is not watched without them."""
    if psutil is None:
        yield "psutil", "memory and the processors of the host"
    engines = [alias["ENGINE"] for alias in settings.DATABASES.values() if alias.get("ENGINE")]
    if psycopg is None and "telemetry.postgresql" in engines:
        yield "psycopg", "connections, their pool and the database"
