"""The observed backend: what it counts, names and leaves alone."""

import gc
import threading
from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from psycopg_pool import PoolTimeout

from telemetry import traces
from telemetry.context import Observation, observing
from telemetry.metrics import catalogue
from telemetry.observe import queries
from telemetry.observe.pool import registry
from telemetry.observe.postgresql import DatabaseWrapper

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_other_holders() -> None:
    """Other files' tests may leave connections checked out, in threads that have ended: forget those."""
    holders = registry().holders
    for left in holders.keys() - {id(observed().holder)}:
        del holders[left]


@pytest.fixture
def observation() -> Iterator[Observation]:
    with observing(Observation("test-request", route="/test/")) as opened:
        yield opened


@pytest.fixture
def small_pool(settings: Any) -> Iterator[None]:
    """A pool of one connection whose waiters give up after 0.2 s."""
    connection.close()
    observed().close_pool()
    options = connection.settings_dict["OPTIONS"]
    before = options["pool"]
    options["pool"] = {"min_size": 0, "max_size": 1, "timeout": 0.2}
    yield
    connection.close()
    observed().close_pool()
    options["pool"] = before


def observed() -> DatabaseWrapper:
    return cast(DatabaseWrapper, connections["default"])


def running() -> list[str]:
    """What every held connection is doing."""
    return [holder.query for holder in registry().holders.values() if holder.query]


def test_it_is_the_backend_in_use() -> None:
    assert settings.DATABASES["default"]["ENGINE"] == "telemetry.postgresql"
    assert isinstance(connections["default"], DatabaseWrapper)


@pytest.mark.django_db(transaction=True)
def test_it_installs_its_wrapper_once_however_often_a_connection_is_checked_out() -> None:
    for _ in range(20):
        connection.close()
        connection.ensure_connection()
    assert connection.execute_wrappers.count(queries.observe) == 1


def test_it_adds_each_query_to_the_observation(observation: Observation) -> None:
    Permission.objects.count()
    list(Permission.objects.all()[:3])
    assert observation.db_queries == 2
    assert observation.db_ms > 0


def test_it_knows_a_query_while_it_runs(observation: Observation) -> None:
    seen: list[str] = []

    def look(execute: Any, *arguments: Any) -> Any:
        seen.extend(running())
        return execute(*arguments)

    with connection.execute_wrapper(look), connection.cursor() as cursor:
        Permission.objects.count()
        cursor.executemany("SELECT %s FROM auth_group", [(1,), (2,)])
    assert seen == ["SELECT auth_permission", "SELECT auth_group"]


def test_it_names_the_fetches_of_a_server_side_cursor(observation: Observation) -> None:
    with transaction.atomic():
        names = {
            next(iter(registry().holders.values())).last_query for _ in Permission.objects.all().iterator(chunk_size=5)
        }
    assert names == {"SELECT auth_permission"}
    assert observation.db_queries > 2  # DECLARE and several FETCH


@pytest.mark.django_db(transaction=True)
def test_it_returns_rows_and_connections_although_the_watching_fails(
    small_pool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    for hook in ("traced_query", "traced_acquire"):
        monkeypatch.setattr(traces, hook, fail)
    for _ in range(3):  # of a pool of one
        assert Permission.objects.exists()
        connection.close()


def test_it_counts_a_copy(observation: Observation) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY (SELECT name FROM auth_permission) TO STDOUT") as copy:
        assert running() == ["COPY auth_permission"]
        assert sum(1 for _ in copy.rows()) > 0
    assert running() == []
    assert observation.db_queries == 1


@pytest.mark.django_db(transaction=True)
def test_it_counts_who_holds_and_who_waits(small_pool: None, observation: Observation) -> None:
    connection.ensure_connection()
    failure: list[BaseException] = []

    def wait_in_vain() -> None:
        try:
            connections["default"].ensure_connection()
        except OperationalError as error:
            failure.append(error)
        finally:
            connections["default"].close()

    thread = threading.Thread(target=wait_in_vain)
    registry().snapshot()
    thread.start()
    thread.join(0.1)
    during = registry().snapshot()
    thread.join()
    after = registry().snapshot()
    assert (during.in_use, during.max_size, during.waiting, during.timeouts) == (1, 1, 1, 0)
    assert during.held[0].route == "/test/"
    assert (after.waiting, after.timeouts) == (0, 1)
    assert isinstance(failure[0].__cause__, PoolTimeout)


@pytest.mark.django_db(transaction=True)
def test_it_sees_idle_in_transaction_and_a_leak(small_pool: None, observation: Observation) -> None:
    connection.ensure_connection()
    assert registry().snapshot().held[0].state == "idle"
    with transaction.atomic():
        Permission.objects.count()
        held = registry().snapshot().held[0]
        assert (held.state, held.query) == ("idle_in_transaction", "SELECT auth_permission")
    connection.close()
    assert registry().snapshot().held == ()

    def leak() -> None:
        connections["default"].ensure_connection()
        del connections["default"]

    thread = threading.Thread(target=leak)
    thread.start()
    thread.join()
    gc.collect()
    assert [held.state for held in registry().snapshot().held] == ["leaked"]
    registry().holders.clear()


@pytest.mark.django_db(transaction=True)
def test_it_passes_by_connections_that_a_restart_of_the_server_killed(small_pool: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    connection.close()
    observed().pool.timeout = 5
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 2000)", [pid])
    assert Permission.objects.count() > 0


def test_it_counts_what_postgresql_could_not_do_and_not_what_it_rightly_refused() -> None:
    def counted(query: str) -> float:
        samples = (sample for metric in catalogue.db_query_errors.collect() for sample in metric.samples)
        return sum(one.value for one in samples if one.labels["query"] == query and one.name.endswith("_total"))

    for sql in ("SELECT * FROM lost", "SELECT 1 / (id - id) FROM django_content_type"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    assert (counted("SELECT lost"), counted("SELECT django_content_type")) == (1, 0)


def test_it_measures_commits() -> None:
    before = _commits()
    observed()._commit()
    assert _commits() == before + 1


def _commits() -> float:
    samples = (sample for metric in catalogue.db_query_duration.collect() for sample in metric.samples)
    return sum(one.value for one in samples if one.labels["query"] == "COMMIT" and one.name.endswith("_count"))
