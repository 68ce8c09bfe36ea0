"""The frequent statement that reads a large table whole for a few rows is named; others are not."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from telemetry.diagnosis import missing_index, slow_burn
from telemetry.diagnosis.board import Board
from telemetry.diagnosis.slow_burn import Trends
from telemetry.observe import pool, probe
from telemetry.observe.statements import MOST, Statements, parametrised
from telemetry.serve.caretaker import Caretaker
from telemetry.tickets import Ticket

NOW, TABLE, OFTEN = 1_700_000_000.0, "frequent_rows", 30
OF_ONE = f"SELECT note FROM {TABLE} WHERE owner = %s AND kind = 'private'"
OF_ALL = f"SELECT kind, count(*) FROM {TABLE} GROUP BY 1"


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(autouse=True)
def nothing_sent_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool.registry(), "statements", Statements())


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> Iterator[int]:
    """A table of its own, without an index, whose statistics are fresh."""
    number = getattr(request, "param", 50_000)
    execute(
        f"DROP TABLE IF EXISTS {TABLE}",
        f"CREATE TABLE {TABLE} WITH (autovacuum_enabled = off) AS SELECT number AS owner, repeat('x', 100) AS note,"
        f" CASE WHEN number % 2 = 0 THEN 'private' ELSE 'public' END AS kind FROM generate_series(1, {number}) number",
        "SELECT pg_stat_force_next_flush()",
        f"ANALYZE {TABLE}",
    )
    yield number
    execute(f"DROP TABLE {TABLE}")


def found_after(sql: str, *values: int) -> list[Ticket]:
    """The tickets on the table after an hour in which a statement was sent often."""
    before = read()
    with connection.cursor() as cursor:
        for _ in range(OFTEN):
            cursor.execute(sql, values)
            cursor.fetchall()
    read()  # so that the server counts them at once
    board = Board(None)
    Caretaker(board).share()
    # The calls of one window: of an hour that goes on so there are twelve times as many.
    statements = {text: calls * 12 for text, calls in board.statements()["default"].items()}
    trends = Trends(scans={TABLE: (NOW - 3600, *before)})
    return [each for each in slow_burn.tickets(NOW, trends, statements=statements) if each[:2] == ("index", TABLE)]


def read() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT seq_scan, seq_tup_read FROM pg_stat_user_tables WHERE relname = %s", [TABLE])
        scans, tuples = cursor.fetchone()
    return scans, tuples


@pytest.mark.django_db(transaction=True)
def test_a_frequent_statement_that_lacks_an_index_is_named(rows: int) -> None:
    (ticket,) = found_after(OF_ONE, 7)
    assert ticket.says == (
        f"`SELECT {TABLE}` reads {rows} of {rows} rows of {TABLE} at each call (the table was read so {OFTEN} times"
        " in an hour): no index serves its filter on owner, kind."
    )
    execute(f"CREATE INDEX ON {TABLE} (owner)")
    assert found_after(OF_ONE, 7) == [], "it has ended by itself"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "sql", [f"UPDATE {TABLE} SET note = 'y' WHERE owner = %s", f"DELETE FROM {TABLE} WHERE owner = %s"]
)
def test_a_statement_that_writes_is_named_too_and_not_run_for_it(rows: int, sql: str) -> None:
    before = read()
    planned = missing_index_of(sql)
    assert [(each.summary, each.columns) for each in planned] == [(f"{sql.split()[0]} {TABLE}", ("owner",))]
    assert read()[1] == before[1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "sql",
    [OF_ALL, f"SELECT note FROM {TABLE} WHERE kind = 'private'", f"SELECT note FROM {TABLE} WHERE note <> 'y'"],
    ids=["no filter", "half of the rows", "all rows but some"],
)
def test_a_report_that_wants_so_many_rows_lacks_none(rows: int, sql: str) -> None:
    assert found_after(sql) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rows", [5_000], indirect=True)
def test_a_small_table_needs_none(rows: int) -> None:
    assert found_after(OF_ONE, 7) == []


@pytest.mark.django_db(transaction=True)
def test_a_page_that_stops_early_does_not_read_the_table_whole(rows: int) -> None:
    assert missing_index_of(f"SELECT note FROM {TABLE} WHERE kind = %s LIMIT 20") == []
    assert [each.columns for each in missing_index_of(f"SELECT * FROM {TABLE} WHERE owner = %s LIMIT 20")] == [
        ("owner",)
    ]


@pytest.mark.django_db(transaction=True)
def test_less_is_said_where_no_plan_can_be_had(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing_index, "SINCE", 10**9)
    (ticket,) = found_after(OF_ONE, 7)
    assert ticket.says.startswith(f"{TABLE} was read whole {OFTEN} times in an hour ({rows} of {rows} rows each;")
    assert "owner" not in ticket.says


def missing_index_of(*sql: str) -> list[missing_index.Reader]:
    """Those of the statements that read the table whole, each sent once in an hour."""
    with probe.connect("default", "test", 2.0) as asked:
        (pages,) = asked.execute("SELECT relpages FROM pg_class WHERE relname = %s", [TABLE]).fetchone()
        planned = missing_index.planned(asked, {parametrised(each): 1.0 for each in sql})
    return list(missing_index.readers(planned, "public", TABLE, pages))


@pytest.mark.django_db(transaction=True)
def test_what_the_server_refuses_or_is_two_statements_is_left_out(rows: int) -> None:
    refused = f"SELECT nothing FROM {TABLE} WHERE owner = %s"
    assert missing_index_of(refused, f"SELECT 1; DROP TABLE {TABLE}") == []
    assert parametrised(f"SELECT 1; DROP TABLE {TABLE}") == ""
    assert len(missing_index_of(refused, OF_ONE)) == 1, "those after it are asked"


@given(
    st.sampled_from(["'{}'", "E'\\\\{}'", "'C:\\' || '{}'", "$x${}$x$", "-- {}\n1", "/* {} */ 1"]),
    st.text("ab'\\ -/*", max_size=9),
)
def test_no_value_is_in_the_text_that_is_kept(quoting: str, more: str) -> None:
    value = (
        "canary"
        if "*" in quoting or "-" in quoting
        else f"canary{more.replace(chr(92), '').replace(chr(39), chr(39) * 2)}"
    )
    assert "canary" not in parametrised(f"SELECT a FROM t WHERE b = {quoting.format(value)} AND c = 'canary'")


def test_numbers_are_values_but_for_page_sizes_and_columns() -> None:
    sql = 'SELECT "a1", 5 FROM t2 WHERE b = 447700900123 AND c IN (%s, %(c)s) GROUP BY 1, 2 LIMIT 21'
    assert parametrised(sql) == 'SELECT "a1", $1 FROM t2 WHERE b = $2 AND c IN ($3, $4) GROUP BY 1, 2 LIMIT 21'


def test_texts_that_differ_in_their_values_count_as_one() -> None:
    statements = Statements()
    for number in range(3 * MOST):
        statements.count(f"SELECT a FROM t WHERE b = {number}")
        statements.count("SELECT a FROM u WHERE b = %s")
    hourly = statements.hourly()
    assert list(hourly) == ["SELECT a FROM u WHERE b = $1", "SELECT a FROM t WHERE b = $1"]
    for _ in range(400):  # windows in which nothing is sent
        statements.hourly()
    assert statements.hourly() == {}


def test_a_steady_rate_is_shown_as_calls_in_an_hour() -> None:
    statements, shown = Statements(), 0.0
    for _ in range(100):
        for _ in range(10):
            statements.count("SELECT a FROM t")
        shown = statements.hourly()["SELECT a FROM t"]
    assert abs(shown - 120) < 1


def test_processes_of_a_host_add_up(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.publish_statements([["default", "SELECT 1", 2.0]])
    (tmp_path / "1.statements").write_text(json.dumps([["default", "SELECT 1", 3.0], ["other", "SELECT 2", 1.0]]))
    (tmp_path / "2.statements").write_text("[1]")
    assert board.statements() == {"default": {"SELECT 1": 5.0}, "other": {"SELECT 2": 1.0}}
    os.utime(tmp_path / "1.statements", (1, 1))
    assert board.statements() == {"default": {"SELECT 1": 2.0}}
    board.withdraw(os.getpid())
    assert board.statements() == {}


@pytest.mark.django_db(transaction=True)
def test_columns_are_named_by_whatever_name_their_table_goes(rows: int) -> None:
    execute(f'ALTER TABLE {TABLE} RENAME COLUMN owner TO "Owned ""by"')
    sql = (
        f'SELECT 1 FROM {TABLE} AS "T" WHERE "T"."Owned ""by" = %s AND NOT ("T"."kind" = %s) AND "T"."note" IS NOT NULL'
    )
    assert [each.columns for each in missing_index_of(sql)] == [('Owned "by',)]
