"""psycopg and its pool, where they are installed: a host on another engine needs neither."""

from typing import Any

psycopg: Any
try:
    import psycopg
except ImportError:
    psycopg = None
try:
    from psycopg_pool import PoolTimeout
except ImportError:

    class PoolTimeout(Exception):  # type: ignore[no-redef]  # what nobody raises
        """In the place of psycopg_pool's."""


__all__ = ["PoolTimeout", "psycopg"]
