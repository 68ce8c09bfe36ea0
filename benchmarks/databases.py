"""Databases of the benchmarks' own, copied from one that holds the demo business."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg

from harness.stack import manage
from xfhandyman import embedded

_numbers = count()


def server() -> str:
    """The URL of a PostgreSQL to work on: DATABASE_URL's, or the embedded one, which is started."""
    embedded.stand_in()
    return os.environ["DATABASE_URL"]


def environment(url: str) -> dict[str, str]:
    """Of a process of the site that works on this database."""
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"}


@contextmanager
def demo_template() -> Iterator[str]:
    """The name of a migrated database that holds the demo business, dropped at the end."""
    with _database("template0") as (name, url):
        for command in (["migrate"], ["demo", "--empty"]):
            manage(*command, env={**os.environ, "DATABASE_URL": url})
        yield name


@contextmanager
def copy(template: str) -> Iterator[str]:
    """The URL of a copy of a database, dropped at the end."""
    with _database(template) as (_, url):
        yield url


@contextmanager
def _database(template: str) -> Iterator[tuple[str, str]]:
    url, name = server(), f"xf_bench_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        base, _, options = url.partition("?")
        try:
            yield name, base.rpartition("/")[0] + f"/{name}" + (f"?{options}" if options else "")
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
