"""The wheel, built once, and an empty database on the tests' own server."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from tests.foreign.hosts import build_wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Telemetry's wheel, as `make package` builds it."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of the tests' own server, with empty databases `foreign_shop` and `foreign_archive` for the project."""
    url = settings.DATABASE_SERVER_URL
    names = ("foreign_shop", "foreign_archive")
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name}")
    yield url
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
