"""What is offered, held to an oracle that walks the clock minute by minute and knows nothing of intervals."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bookings.slots.rules import (
    Calendar,
    Diary,
    Interval,
    Job,
    Reason,
    Rules,
    Shift,
    Slot,
    Visit,
    find_slot,
    free_slots,
    instant,
)
from tests.walked_windows import MINUTE, ZONES, Case, at_the_door, cases, minutes_of, oracle, person, times


@settings(max_examples=100)
@given(cases())
def test_it_offers_what_a_minute_by_minute_walk_finds(case: Case) -> None:
    offered = free_slots(case.diary, rules=case.rules, job=case.job, first=case.first, last=case.last, now=case.now)
    assert [replace(slot, extra=(), is_nearby=False) for slot in offered] == oracle(case)


@settings(max_examples=100)
@given(cases(), st.integers(-12, 600))
def test_it_judges_a_posted_slot_as_it_lists_it(case: Case, offset: int) -> None:
    opening = datetime.combine(case.first, time(), tzinfo=case.rules.zone).astimezone(UTC)
    starts_at = opening + offset * 5 * MINUTE
    day = starts_at.astimezone(case.rules.zone).date()
    listed = free_slots(case.diary, rules=case.rules, job=case.job, first=day, last=day, now=case.now)
    found = find_slot(case.diary, rules=case.rules, job=case.job, starts_at=starts_at, now=case.now)
    if isinstance(found, Slot):
        assert found in listed
    else:
        assert starts_at not in {slot.starts_at for slot in listed}


@settings(max_examples=60)
@given(cases(), st.data())
def test_every_promise_holds_when_the_whole_day_runs_late(case: Case, data: st.DataObject) -> None:
    """Customers take one free window after another of one handyman; then every visit begins late by the leeway."""
    calendar, rules, job = case.diary.calendars[0], case.rules, case.job
    booked, taken = list(calendar.booked), list[Slot]()
    for _ in range(6):
        diary = Diary([replace(calendar, booked=booked)], case.diary.holidays)
        slots = free_slots(diary, rules=rules, job=job, first=case.first, last=case.last, now=case.now)
        if not slots:
            break
        taken.append(data.draw(st.sampled_from(slots)))
        begins = taken[-1].planned[0]
        done = begins + job.duration
        booked.append(
            Visit(begins, done if job.places and rules.travel else done + job.buffer, done, places=job.places)
        )
    at_work, leeway = person(case, calendar), min(rules.leeway, rules.window)
    for slot in taken:
        late = slot.planned[0] + leeway
        assert slot.starts_at <= late <= slot.arrival_until
        assert minutes_of(late, job.duration) <= at_work.hours - at_work.off
    visits = sorted(slot.planned[0] for slot in taken)
    for one, other in pairwise(visits):
        done = one + job.duration
        travel = rules.travel if job.places else None
        arrives = at_the_door(done, job.places, job.places, travel) if travel else done + job.buffer
        assert arrives <= other


@given(
    name=st.sampled_from(sorted(ZONES)),
    day=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    at=times(step=1),
)
@example(name="Europe/London", day=date(2026, 3, 29), at=time(1, 30))
@example(name="Australia/Lord_Howe", day=date(2026, 10, 4), at=time(2, 15))
@example(name="America/New_York", day=date(2026, 11, 1), at=time(1, 30))
def test_it_takes_the_first_instant_at_which_the_clock_has_come_so_far(name: str, day: date, at: time) -> None:
    zone, wanted = ZoneInfo(name), datetime.combine(day, at)
    found = instant(day, at, zone)
    assert found.astimezone(zone).replace(tzinfo=None) >= wanted
    earlier = [(found - n * MINUTE).astimezone(zone).replace(tzinfo=None) for n in range(1, 181)]
    assert all(local < wanted for local in earlier)


LONDON = ZoneInfo("Europe/London")


def always(handyman_id: int, booked: tuple[Interval, ...] = ()) -> Calendar:
    return Calendar(handyman_id, [Shift(day, time(), time()) for day in range(7)], booked=booked)


def local_starts(slots: list[Slot], zone: ZoneInfo) -> list[str]:
    return [f"{slot.starts_at.astimezone(zone):%H:%M}" for slot in slots]


def offered_on(day: date, zone: ZoneInfo, step: int) -> list[str]:
    rules = Rules(zone=zone, step=step * MINUTE, window=step * MINUTE, horizon_days=400)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    slots = free_slots(Diary([always(1)]), rules=rules, job=Job(15 * MINUTE), first=day, last=day, now=now)
    return local_starts(slots, zone)


@pytest.mark.parametrize(
    ("zone", "day", "skipped"),
    [
        ("Europe/London", date(2026, 3, 29), ["01:00", "01:30"]),
        ("America/New_York", date(2026, 3, 8), ["02:00", "02:30"]),
        ("Australia/Lord_Howe", date(2026, 10, 4), ["02:00"]),
    ],
)
def test_it_never_offers_a_time_that_does_not_exist(zone: str, day: date, skipped: list[str]) -> None:
    offered = offered_on(day, ZoneInfo(zone), step=30)
    assert not set(skipped) & set(offered)
    assert len(offered) == 48 - len(skipped)


@pytest.mark.parametrize(
    ("zone", "day", "repeated"),
    [
        ("Europe/London", date(2026, 10, 25), ["01:00", "01:30"]),
        ("America/New_York", date(2026, 11, 1), ["01:00", "01:30"]),
        ("Australia/Lord_Howe", date(2026, 4, 5), ["01:30"]),
    ],
)
def test_it_offers_a_repeated_time_once(zone: str, day: date, repeated: list[str]) -> None:
    offered = offered_on(day, ZoneInfo(zone), step=30)
    assert len(offered) == len(set(offered)) == 48
    assert set(repeated) <= set(offered)


DAY_OF_WORK = date(2026, 6, 10)
NOW = datetime(2026, 6, 9, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("starts_at", "reason"),
    [
        (datetime(2026, 6, 9, 7, tzinfo=UTC), Reason.PAST),
        (datetime(2026, 6, 9, 11, tzinfo=UTC), Reason.NOTICE),
        (datetime(2026, 6, 10, 9, 7, tzinfo=UTC), Reason.OFF_GRID),
        (datetime(2026, 6, 10, 9, 0, 1, tzinfo=UTC), Reason.OFF_GRID),
        (datetime(2026, 6, 10, 20, tzinfo=UTC), Reason.CLOSED),
        (datetime(2026, 6, 11, 9, tzinfo=UTC), Reason.CLOSED),
        (datetime(2026, 6, 10, 9, tzinfo=UTC), Reason.TAKEN),
        (datetime(2026, 8, 9, 9, tzinfo=UTC), Reason.HORIZON),
    ],
)
def test_it_says_why_a_slot_cannot_be_had(starts_at: datetime, reason: Reason) -> None:
    booked = (datetime(2026, 6, 10, 9, tzinfo=UTC), datetime(2026, 6, 10, 10, tzinfo=UTC))
    shifts = [Shift(day, time(8), time(17)) for day in range(7)]
    diary = Diary([Calendar(1, shifts, booked=[booked])], frozenset({date(2026, 6, 11)}))
    found = find_slot(diary, rules=Rules(zone=LONDON), job=Job(60 * MINUTE), starts_at=starts_at, now=NOW)
    assert found is reason


def test_it_joins_two_shifts_that_touch() -> None:
    shifts = [Shift(DAY_OF_WORK.weekday(), time(8), time(12)), Shift(DAY_OF_WORK.weekday(), time(12), time(16))]
    slots = free_slots(
        Diary([Calendar(1, shifts)]),
        rules=Rules(zone=LONDON),
        job=Job(timedelta(hours=7)),
        first=DAY_OF_WORK,
        last=DAY_OF_WORK,
        now=NOW,
    )
    assert local_starts(slots, LONDON) == ["08:00"]
