"""Why a window is not offered, and what would make it possible."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.slots import rules, why
from bookings.slots.rules import Calendar, Clash, Diary, Job, Reason, Rules, Shift, Slot

ZONE = ZoneInfo("Europe/London")
BY = Rules(ZONE, notice=timedelta())
HOUR = timedelta(hours=1)
JOB = Job(HOUR, HOUR / 2)
NOW = datetime(2031, 6, 1, tzinfo=UTC)
WEDNESDAY = date(2031, 6, 4)


def at(hour: float) -> datetime:
    return rules.instant(WEDNESDAY, time(), ZONE) + hour * HOUR


def person(
    *booked: tuple[float, float], off: tuple[float, float] | None = None, hours: tuple[int, int] = (8, 18)
) -> Calendar:
    shifts = [Shift(day, time(hours[0]), time(hours[1])) for day in range(5)]
    time_off = [(at(off[0]), at(off[1]))] if off else []
    return Calendar(1, shifts, time_off, [(at(start), at(end)) for start, end in booked])


def answer(calendar: Calendar, hour: float, *, holidays: frozenset[date] = frozenset()) -> why.Answer:
    (found,) = why.ask(Diary([calendar], holidays), by=BY, job=JOB, starts_at=at(hour), now=NOW)
    return found


def test_it_has_nothing_against_what_is_offered() -> None:
    assert answer(person(), 10) == why.Answer(1, None)


def test_it_names_the_visit_in_the_way_and_the_nearest_window() -> None:
    found = answer(person((9, 11.5), (13, 14.5)), 10)
    assert (found.reason, found.visits) == (Reason.TAKEN, ((at(9), at(11.5)),))
    assert (found.instead, found.overtime) == (at(15), False)


def test_it_names_all_visits_where_no_single_one_is_in_the_way() -> None:
    assert answer(person((9, 10.5), (10.5, 12), (12, 18)), 10).visits == ((at(9), at(10.5)), (at(10.5), at(12)))


@pytest.mark.parametrize(
    ("calendar", "hour", "reason", "overtime"),
    [
        (person(), 18, Clash.HOURS, True),
        (person(), 4 * 24 + 10, Clash.HOURS, True),
        (person(off=(9, 12)), 10, Clash.TIME_OFF, False),
        (person((18, 21)), 19, Clash.HOURS, False),
        (person(), 10.25, Reason.OFF_GRID, True),
        (person((10, 12)), 10.25, Reason.TAKEN, False),
        (person(), -24 * 10, Reason.PAST, False),
        (person(), 24 * 100, Reason.HORIZON, False),
    ],
)
def test_it_says_what_only_overtime_would_make_possible(
    calendar: Calendar, hour: float, reason: Reason | Clash, overtime: bool
) -> None:
    found = answer(calendar, hour)
    assert (found.reason, found.overtime) == (reason, overtime)


def test_it_knows_a_holiday() -> None:
    found = answer(person(), 10, holidays=frozenset({WEDNESDAY}))
    assert (found.reason, found.overtime, found.instead) == (Clash.HOLIDAY, True, None)


@settings(max_examples=60)
@given(
    booked=st.lists(st.tuples(st.integers(7, 19), st.sampled_from([1.0, 1.5, 3.0])), max_size=4),
    off=st.none() | st.tuples(st.integers(7, 12), st.integers(13, 19)),
    quarter=st.integers(0, 95),
)
def test_it_agrees_with_what_is_offered(
    booked: list[tuple[int, float]], off: tuple[int, int] | None, quarter: int
) -> None:
    """No reason where the slot is free, always one where it is not; what it proposes can be had."""
    calendar = person(*((start, start + length) for start, length in booked), off=off)
    hour = quarter / 4
    found, diary = answer(calendar, hour), Diary([calendar])
    offered = rules.find_slot(diary, rules=BY, job=JOB, starts_at=at(hour), now=NOW)
    assert (found.reason is None) == isinstance(offered, Slot)
    if found.instead is not None:
        assert isinstance(rules.find_slot(diary, rules=BY, job=JOB, starts_at=found.instead, now=NOW), Slot)
    if found.overtime:
        by = why.at_odd_times(BY)
        assert isinstance(
            rules.find_slot(why.without_hours(diary), rules=by, job=JOB, starts_at=at(hour), now=NOW), Slot
        )
