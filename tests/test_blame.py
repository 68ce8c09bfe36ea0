"""The sentence: who is blamed for an exhausted pool, and since when. Pure snapshots, no clock."""

from datetime import UTC, datetime
from typing import Any

import pytest

from telemetry.diagnosis.pool_exhaustion import blame
from telemetry.observe.snapshot import Held, Slow, Snapshot

NOW = datetime(2026, 3, 9, 14, 2, 18, 200_000, tzinfo=UTC).timestamp()
BOOKING = "SELECT bookings_booking"


def query(name: str, age: float, route: str = "/book/<slug>/", held: float | None = None) -> Held:
    return Held("query", name, route, age, held if held is not None else age + 0.01, 1)


def pool(*held: Held, **figures: Any) -> Snapshot:
    return Snapshot(at=NOW, max_size=len(held), held=held, in_use=len(held))._replace(**figures)


def test_it_writes_the_sentence() -> None:
    held = [query(BOOKING, 7.2), *[query(BOOKING, 3.0)] * 5, *[query("SELECT auth_user", 0.01, "/admin/")] * 2]
    found = blame(pool(*held, waiting=5))
    assert found.sentence == (
        "The database pool is exhausted (8/8 in use, 5 waiting) because of high latency in the "
        "`SELECT bookings_booking` query (6 holders, oldest 7.2 s, from /book/<slug>/) starting at 14:02:11 UTC."
    )
    assert (found.cause, found.query, found.route, found.holders) == ("slow_query", BOOKING, "/book/<slug>/", 6)


@pytest.mark.parametrize(
    ("held", "cause", "told"),
    [
        ([Held("idle_in_transaction", "SELECT auth_group", "/leak/", 4, 4.1)] * 2, "idle_in_transaction", "/leak/"),
        ([Held("idle", "SELECT auth_group", "/slow-page/", 4, 4.1)] * 2, "idle", "without running a query"),
        ([Held("leaked", "SELECT auth_group", "/leak/", 60, 60)] * 2, "leaked", "never returned"),
        ([query(BOOKING, 0.01, "/report/", held=5.0)] * 2, "long_work", "/report/"),
        (
            [query(BOOKING, 0.1, held=0.6)._replace(queries=4, busy=0.55)] * 2,
            "slow_database",
            "in every query (2 holders",
        ),
        ([query(BOOKING, 0.01, held=2.0)._replace(queries=900, busy=1.9)] * 2, "long_work", "900 queries so far"),
        ([query(BOOKING, 0.01)] * 2, "surge", "a surge of requests"),
        ([query(BOOKING, 2.0, "")] * 2, "slow_query", "from background work"),
    ],
)
def test_it_tells_causes_apart(held: list[Held], cause: str, told: str) -> None:
    found = blame(pool(*held))
    assert found.cause == cause
    assert told in found.sentence


def test_it_blames_what_holds_most_not_one_old_leak() -> None:
    held = [Held("idle_in_transaction", "", "/leak/", 600, 600), *[query(BOOKING, 4.0)] * 7]
    assert blame(pool(*held)).query == BOOKING


def test_it_calls_a_surge_a_surge_although_one_connection_is_slow() -> None:
    found = blame(pool(query(BOOKING, 3.0), *[query("SELECT a", 0.02)] * 7, returned=160, routes=("/",) * 160))
    assert found.cause == "surge"
    assert "160 checkouts per second" in found.sentence


def test_it_starts_a_surge_when_the_queueing_began() -> None:
    assert blame(pool(query("SELECT a", 0.02)), pressed_since=NOW - 3).started_at == NOW - 3


def test_it_counts_a_surge_at_its_worst_moment() -> None:
    found = blame(pool(query("SELECT a", 0.02), max_size=2, waiting=0, peak_waiting=2))
    assert "(2/2 in use, 2 waiting) because of a surge" in found.sentence


def test_it_looks_back_over_queries_that_a_statement_timeout_ended() -> None:
    runs = (Slow(BOOKING, "/", NOW - 5.2, NOW - 3.2), Slow(BOOKING, "/", NOW - 3.1, NOW - 1.1))
    found = blame(
        pool(query(BOOKING, 1.0), query(BOOKING, 0.9), slow=(Slow("SELECT b", "/", NOW - 60, NOW - 3), *runs))
    )
    assert found.started_at == pytest.approx(NOW - 5.2)


def test_it_blames_a_query_just_begun_when_the_same_was_slow_a_moment_ago() -> None:
    found = blame(pool(query(BOOKING, 0.1), query(BOOKING, 0.1), slow=(Slow(BOOKING, "/", NOW - 1.2, NOW - 0.1),)))
    assert found.cause == "slow_query"


def test_it_blames_what_has_just_ended_when_caught_between_two_queries() -> None:
    runs = tuple(Slow(BOOKING, "/book/<slug>/", NOW - 2.1, NOW - 0.1) for _ in range(2))
    found = blame(pool(Held("idle", BOOKING, "/x/", 0.05, 0.05), Held("idle", "", "/x/", 0.05, 0.05), slow=runs))
    assert (found.cause, found.query) == ("slow_query", BOOKING)


def test_it_says_that_the_request_is_over_and_the_connection_is_not() -> None:
    held = [Held("idle_in_transaction", "SELECT a", "/leak/", 9, 9, ended=True)] * 2
    assert "whose request has ended" in blame(pool(*held)).sentence


def test_it_adds_the_date_of_a_start_on_another_day() -> None:
    found = blame(pool(*[Held("idle_in_transaction", "", "/leak/", 86_400, 86_400)] * 2))
    assert "starting at 14:02:18 UTC on 08 March 2026." in found.sentence
