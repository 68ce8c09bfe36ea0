"""Pages that may be a little old, read from a real streaming replica that lags, dies and comes back."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from harness.stack import BASE_DIR, Stack, running_stack, wait_for
from ops.scale.standby import Standby, replicated
from tests.conftest import copied_database
from xfhandyman.replica import _KEEPS_UP

NEW = """
INSERT INTO bookings_service SELECT (jsonb_populate_record(s, jsonb_build_object(
    'id', s.id + 1000, 'slug', 'brand-new', 'name', 'Brand new service'))).*
FROM bookings_service s WHERE slug = 'tap-repair'
"""


@pytest.fixture(scope="module")
def standby(demo_template: str) -> Iterator[Standby]:
    directory = Path(tempfile.mkdtemp(prefix="replica-"))
    with copied_database(demo_template) as demo, replicated(directory) as pair:
        pair.load(demo)
        pair.catch_up()
        yield pair
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def site(standby: Standby, static_files: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env = {"DATABASE_REPLICA_URL": standby.url, "DATABASE_REPLICA_LAG": "3600"}
    with running_stack(tmp_path_factory.mktemp("site"), standby.primary.get_uri(), env) as site:
        yield site


def answered(site: Stack, by: str) -> float:
    lines = site.get(site.metrics_url)[1].splitlines()
    found = [line for line in lines if line.startswith(f'db_replica_requests_total{{by="{by}"}}')]
    return float(found[0].split()[-1]) if found else 0.0


@pytest.fixture
def behind(site: Stack, standby: Standby) -> Iterator[None]:
    """A service that the primary knows and the replica does not, for as long as the test runs."""
    standby.catch_up()
    standby.ask("SELECT pg_wal_replay_pause()")
    wait_for("the replica to stand still", lambda: standby.ask("SELECT pg_get_wal_replay_pause_state() = 'paused'"), 30)
    with psycopg.connect(standby.primary.get_uri()) as connection:
        connection.execute(NEW)
    yield
    if not (standby.data / "postmaster.pid").exists():
        standby.start()
    standby.ask("SELECT pg_wal_replay_resume()")
    with psycopg.connect(standby.primary.get_uri()) as connection:
        connection.execute("DELETE FROM bookings_service WHERE slug = 'brand-new'")
    standby.catch_up()


@pytest.mark.usefixtures("behind")
def test_it_reads_the_catalogue_from_the_replica_and_bookings_never(site: Stack) -> None:
    before = answered(site, "replica")
    assert "Brand new service" not in site.get("/services/")[1]
    assert "brand-new" not in site.get("/sitemap.xml")[1]
    assert answered(site, "replica") == before + 2
    assert site.get("/services/brand-new/")[0] == 200, "what the replica does not have yet, the primary is asked for"
    assert site.get("/book/brand-new/")[0] == 200
    assert site.get("/api/availability?service=brand-new", headers={"Accept": "application/json"})[0] == 200


@pytest.mark.usefixtures("behind")
def test_it_asks_the_primary_while_the_replica_is_down(site: Stack, standby: Standby) -> None:
    standby.stop()
    before = answered(site, "primary")
    assert all("Brand new service" in site.get("/services/", timeout=30)[1] for _ in range(8))
    assert answered(site, "primary") == before + 8
    assert not [line for line in site.log_events("request_finished") if line["status_code"] >= 500]
    standby.start()
    since = answered(site, "replica")

    def back() -> bool:
        site.get("/services/")
        return answered(site, "replica") > since

    wait_for("the replica to be used again", back, 60)


def test_it_can_write_nothing_there(standby: Standby) -> None:
    script = (
        "from django.db import connections; from bookings.models import Service; c = connections['replica'].cursor();"
        "c.execute('SHOW default_transaction_read_only'); print(c.fetchone()[0]);"
        "Service.objects.using('replica').update(name='x')"
    )
    # The primary in the replica's place: it is our session that refuses, not a standby.
    url = standby.primary.get_uri()
    env = {**os.environ, "DATABASE_URL": url, "DATABASE_REPLICA_URL": url}
    env["DJANGO_SETTINGS_MODULE"] = "xfhandyman.settings"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", script]
    done = subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["on"], done.stderr
    assert "read-only transaction" in done.stderr


@pytest.mark.usefixtures("behind")
def test_it_leaves_a_replica_alone_that_falls_behind(standby: Standby) -> None:
    assert standby.ask(_KEEPS_UP.format(3600)) == 1
    wait_for("the replica to be called late", lambda: standby.ask(_KEEPS_UP.format(1)) is None, 30)
    with psycopg.connect(standby.primary.get_uri()) as connection:
        assert connection.execute(_KEEPS_UP.format(1)).fetchone() == (1,), "no replica, nothing to be behind"
