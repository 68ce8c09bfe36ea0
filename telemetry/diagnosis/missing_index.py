"""Which frequent statement reads a whole table for a few rows, by the plan that PostgreSQL makes for it.

The plan is that of the text alone (EXPLAIN (GENERIC_PLAN), PostgreSQL 16): no value is known here, and nothing is run.
"""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from telemetry.observe.drivers import psycopg
from telemetry.observe.sql_summary import summarise

SINCE = 160_000
"""The version of PostgreSQL from which a plan can be had without values."""
STATEMENT, ALL = 0.5, 5.0
"""Seconds that one plan may take, and all of a round."""
WHOLE = 0.5
"""Share of a scan's cost that a LIMIT above must leave for the scan to read the table whole."""
PAGES_PER_ROW = 4
"""An index pays while there are at least so many pages for each row found: each row may lie on a page of its own."""

_EXCLUDED = r"(?!\)*(?:::[\w ]+\)*)? (?:<>|!~|IS NOT|IS DISTINCT))"
"""What follows the name of a column whose value a statement does not want: no index serves that."""


class Reader(NamedTuple):
    """A statement that reads a table whole. `columns`: what it filters by, empty where no index would help it."""

    summary: str
    calls: float
    columns: tuple[str, ...]


class Planned(NamedTuple):
    """A statement with the plan that PostgreSQL has for it. `calls`: in an hour."""

    summary: str
    calls: float
    plan: Mapping[str, Any]


def planned(connection: Any, statements: Mapping[str, float]) -> list[Planned]:
    """Ask for the plan of each statement, the most frequent first.

    What the server refuses, is too old for or has no time for is left out. Raises psycopg.OperationalError when the
    connection breaks.
    """
    if connection.info.server_version < SINCE:
        return []
    deadline, found = time.monotonic() + ALL, list[Planned]()
    for text, calls in sorted(statements.items(), key=lambda each: -each[1]):
        if time.monotonic() > deadline:
            break
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION READ ONLY")
                connection.execute(f"SET LOCAL statement_timeout = {STATEMENT * 1000:.0f}")
                (((top,),),) = connection.execute(f"EXPLAIN (GENERIC_PLAN, VERBOSE, FORMAT JSON) {text}").fetchall()
        except psycopg.Error:
            if connection.closed:
                raise
            continue
        found.append(Planned(summarise(text), calls, top["Plan"]))
    return found


def readers(statements: list[Planned], schema: str, table: str, pages: int) -> Iterator[Reader]:
    """Those that read this table of `pages` pages whole, in their order. Pure."""
    for summary, calls, plan in statements:
        scans = [scan for scan in _whole_scans(plan, float("inf")) if _of(scan) == (schema, table)]
        if scans:
            columns = {name: None for scan in scans if _pays(scan, pages) for name in _filtered(scan)}
            yield Reader(summary, calls, tuple(columns))


def _whole_scans(node: Mapping[str, Any], most: float) -> Iterator[Mapping[str, Any]]:
    """The sequential scans that nothing above stops early. `most`: what a LIMIT above lets the part below cost."""
    if node["Node Type"] == "Limit":
        most = min(most, node["Total Cost"])
    if node["Node Type"] == "Seq Scan" and most >= WHOLE * node["Total Cost"]:
        yield node
    for below in node.get("Plans", ()):
        yield from _whole_scans(below, most)


def _of(scan: Mapping[str, Any]) -> tuple[str, str]:
    return scan["Schema"], scan["Relation Name"]


def _pays(scan: Mapping[str, Any], pages: int) -> bool:
    return bool(scan["Plan Rows"] * PAGES_PER_ROW <= pages)


def _filtered(scan: Mapping[str, Any]) -> list[str]:
    """The table's columns in the filter that an index can find; a verbose plan names each with the table's alias."""
    alias = scan["Alias"]
    quoted = alias if re.fullmatch(r"[a-z_][a-z0-9_$]*", alias) else '"' + alias.replace('"', '""') + '"'
    names = re.findall(rf'(?<![\w"]){re.escape(quoted)}\.("(?:[^"]|"")*"|\w+\b){_EXCLUDED}', scan.get("Filter", ""))
    return [name.strip('"').replace('""', '"') for name in names]
