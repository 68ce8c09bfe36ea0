"""Queries are named by what they do to which table, and never by a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql as composed

from telemetry.observe.sql_summary import MAX_LENGTH, summarise

SUMMARIES = {
    'SELECT "bookings_booking"."id" FROM "bookings_booking" WHERE "x" = %s': "SELECT bookings_booking",
    "select a.b from public.bookings_booking a inner join other o on a.id = o.a_id": "SELECT bookings_booking",
    'SELECT COUNT(*) FROM (SELECT DISTINCT "a" FROM "bookings_service") subquery': "SELECT bookings_service",
    "SELECT (SELECT max(x) FROM other) AS m FROM main_table": "SELECT main_table",
    "SELECT EXTRACT(YEAR FROM started) FROM bookings_booking": "SELECT bookings_booking",
    "SELECT a IS DISTINCT FROM b FROM bookings_booking": "SELECT bookings_booking",
    "SELECT EXISTS(SELECT 1 AS a FROM bookings_booking LIMIT 1)": "SELECT bookings_booking",
    "(SELECT a FROM t1) UNION (SELECT a FROM t2)": "SELECT t1",
    "SELECT ' FROM secret_table' FROM real_table": "SELECT real_table",
    "SELECT $tag$ FROM secret $tag$ FROM real_table": "SELECT real_table",
    "/* FROM a */ SELECT 1 -- FROM b\nFROM c": "SELECT c",
    'SELECT 1 FROM "odd""name"': 'SELECT odd"name',
    "SELECT 1": "SELECT",
    "SELECT 1) FROM bookings_booking": "SELECT bookings_booking",
    "SELECT pg_sleep(1)": "SELECT pg_sleep",
    "SELECT * FROM procrastinate_fetch_job_v2(%s)": "SELECT procrastinate_fetch_job_v2",
    "SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[(%s)]::procrastinate_job_to_defer_v1[]))": (
        "SELECT procrastinate_defer_jobs_v1"
    ),
    "SELECT * FROM ONLY bookings_booking FOR UPDATE": "SELECT bookings_booking",
    "WITH recent AS (SELECT * FROM bookings_booking) SELECT * FROM recent": "SELECT bookings_booking",
    "WITH RECURSIVE a AS (SELECT 1 UNION SELECT n FROM a) SELECT * FROM a JOIN t ON true": "SELECT a",
    "WITH a AS (SELECT 1 FROM x), b AS (SELECT 2 FROM y) UPDATE booking SET c = 1 FROM a": "UPDATE booking",
    "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO archive SELECT * FROM gone": "INSERT archive",
    'INSERT INTO "bookings_booking" ("a") VALUES (%s) RETURNING "id"': "INSERT bookings_booking",
    "UPDATE ONLY bookings_booking SET a = (SELECT b FROM c)": "UPDATE bookings_booking",
    "DELETE FROM bookings_booking WHERE id IN (SELECT id FROM x)": "DELETE bookings_booking",
    'SAVEPOINT "s140_x1"': "SAVEPOINT",
    'RELEASE SAVEPOINT "s140_x1"': "RELEASE",
    'ROLLBACK TO SAVEPOINT "s140_x1"': "ROLLBACK",
    "SET CONSTRAINTS ALL IMMEDIATE": "SET",
    "COPY bookings_booking (a, b) FROM STDIN": "COPY bookings_booking",
    "COPY (SELECT a FROM bookings_service) TO STDOUT": "COPY bookings_service",
    "LOCK TABLE bookings_booking IN ACCESS EXCLUSIVE MODE": "LOCK bookings_booking",
    "TRUNCATE bookings_booking, other": "TRUNCATE bookings_booking",
    "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)": "CREATE INDEX",
    "ALTER TABLE bookings_booking ADD COLUMN a int": "ALTER TABLE",
    "": "OTHER",
    "?!": "OTHER",
}


@pytest.mark.parametrize(("sql", "summary"), SUMMARIES.items())
def test_it_names_a_statement_by_verb_and_main_table(sql: str, summary: str) -> None:
    assert summarise(sql) == summary


def test_it_reads_bytes_and_composed_statements() -> None:
    assert summarise(b"SELECT 1 FROM t") == "SELECT t"
    assert summarise(composed.SQL("DELETE FROM {}").format(composed.Identifier("t"))) == "DELETE t"
    assert summarise(object()) == "OTHER"


@given(st.text(max_size=200))
def test_it_survives_any_text_and_stays_short(sql: str) -> None:
    assert 0 < len(summarise(sql)) <= MAX_LENGTH


@given(st.text(alphabet="abc'\\ ()$-/*\"", max_size=40))
def test_it_never_repeats_a_quoted_value(value: str) -> None:
    canary = value.replace("'", "").replace("\\", "") + "canary"
    assert "canary" not in summarise(f"SELECT a FROM t WHERE b = '{canary}'")
