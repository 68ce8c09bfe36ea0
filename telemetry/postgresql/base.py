"""Django's PostgreSQL backend, observed; with telemetry off, or another driver than psycopg 3, Django's own."""

from django.db.backends.postgresql import base, psycopg_any

from telemetry.conf import conf

DatabaseWrapper: type[base.DatabaseWrapper] = base.DatabaseWrapper

if conf.enabled and psycopg_any.is_psycopg3:
    from telemetry.observe import postgresql

    DatabaseWrapper = postgresql.DatabaseWrapper
