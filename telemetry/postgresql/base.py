"""Django's PostgreSQL backend, observed."""

from telemetry.observe.postgresql import DatabaseWrapper

__all__ = ["DatabaseWrapper"]
