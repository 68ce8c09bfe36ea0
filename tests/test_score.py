"""The diagnosis on recordings of the running site, each with a fault: right at first, soon, with its start."""

import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import pytest

from ops.drills.catalogue import NEW, PLAYS
from ops.drills.scoring import RECORDINGS, Score, score, share

FILES = sorted(RECORDINGS.glob("*.xz"))
NOT_YET = {
    "slow-table": "recorded while other programs had all processors, which is taken for what slows the query",
    "transaction-left-open": "the same, for what holds the pool",
    "python-work": "the same, for what computes on the page",
}
"""Drills whose diagnosis is wrong, and why: docs/diagnosis.md counts them, the bounds are of the others."""


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(score, FILES))


def test_it_is_right_at_first(scores: list[Score]) -> None:
    results = [result for each in scores for result in each.results if result.play not in NOT_YET]
    wrong = {result.play: result.said for result in results if not result.first}
    assert share(results) >= 0.95, wrong
    for group in {result.group for result in results}:
        assert share([result for result in results if result.group == group]) >= 0.9, (group, wrong)


def test_it_is_right_more_often_than_a_guess_and_the_largest_deviation(scores: list[Score]) -> None:
    results = [result for each in scores for result in each.results]
    assert share(results) > 2 * max(
        sum(result.guess for result in results) / len(results), sum(result.z_score for result in results) / len(results)
    )


def test_it_is_soon_and_names_the_start(scores: list[Score]) -> None:
    results = [result for each in scores for result in each.results]
    after = [seconds for result in results for seconds in result.after]
    assert median(after) <= 20
    assert max(after) <= 60
    late = {result.play: result.off for result in results if any(abs(off) > 15 for off in result.off)}
    assert late == {}


def test_it_raises_no_false_alarm(scores: list[Score]) -> None:
    assert [sentence for each in scores for sentence in each.false_alarms] == []


def test_each_drill_is_recorded_or_listed_as_not_recorded(scores: list[Score]) -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "diagnosis.md").read_text()
    rows = re.findall(r"^\| \w+ \| (\d+) of (\d+) \| (.*) \|$", page, re.MULTILINE)
    missing = [name for row in rows for name in re.findall(r"`([^`]+)`", row[2])]
    recorded = [result.play for each in scores for result in each.results]
    assert sorted(recorded + missing) == sorted(PLAYS | NEW)
    assert sum(int(row[0]) for row in rows) == len(recorded)
    assert sum(int(row[1]) for row in rows) == len(PLAYS | NEW)
