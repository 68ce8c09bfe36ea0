"""Django's PostgreSQL backend, observed; with telemetry off, Django's own."""

from django.db.backends.postgresql import base

from telemetry.conf import conf

DatabaseWrapper: type[base.DatabaseWrapper] = base.DatabaseWrapper

if conf.enabled:
    from telemetry.observe import postgresql

    DatabaseWrapper = postgresql.DatabaseWrapper
