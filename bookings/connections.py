"""The database's connections are few: who waits for somebody else keeps none meanwhile."""

from django.db import connection


def release() -> None:
    """Give this thread's connection back into the pool, unless a transaction needs it; the next query takes another."""
    if not connection.in_atomic_block:
        connection.close()
