"""What a pooler in transaction mode takes away, checked before a release: `manage.py check --database default`.

A web process cannot give its sessions a time-out through such a pooler (it refuses the start-up parameter, and a SET
would stay behind for the next customer of that connection), so the database role must bring one.
"""

import os
from collections.abc import Sequence
from typing import Any

import psycopg
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.database)
def check_pooler(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """Ask through the pooler what a web process would get; nothing to say without DATABASE_DIRECT_URL."""
    if "default" not in (databases or ()) or not os.environ.get("DATABASE_DIRECT_URL"):
        return []
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=3, prepare_threshold=None) as connection:
            found = connection.execute("SELECT setting, current_user FROM pg_settings WHERE name = 'statement_timeout'")
            timeout, role = found.fetchone() or ("0", "")
    except (psycopg.Error, KeyError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return [Error(f"DATABASE_URL leads to no usable pooler: {reason}.", id="xfhandyman.E001")]
    if timeout != "0":
        return []
    wanted = settings.DB_STATEMENT_TIMEOUT
    return [
        Error(
            f"No statement_timeout behind the pooler: a query could hold a connection for ever. Run once: "
            f"ALTER ROLE {role} SET statement_timeout = '{wanted:g}s', then reconnect the pooler.",
            id="xfhandyman.E002",
        )
    ]
