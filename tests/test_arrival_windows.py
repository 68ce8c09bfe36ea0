"""Arrival windows on one day of work: what is promised, and how many visits fit."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from bookings.slots.rules import Calendar, Diary, Interval, Job, Rules, Shift, Slot, free_slots

MINUTE = timedelta(minutes=1)
LONDON = ZoneInfo("Europe/London")
DAY_OF_WORK = date(2026, 6, 10)
NOW = datetime(2026, 6, 9, 8, tzinfo=UTC)


def day_of_work(
    *shifts: tuple[time, time], booked: Sequence[Interval] = (), time_off: Sequence[Interval] = ()
) -> Calendar:
    return Calendar(1, [Shift(DAY_OF_WORK.weekday(), *shift) for shift in shifts], time_off, booked)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime.combine(DAY_OF_WORK, time(hour, minute), tzinfo=LONDON).astimezone(UTC)


def starts(slots: list[Slot]) -> list[str]:
    return [f"{slot.starts_at.astimezone(LONDON):%H:%M}" for slot in slots]


def offered(calendar: Calendar, rules: Rules, job: Job) -> list[str]:
    slots = free_slots(Diary([calendar]), rules=rules, job=job, first=DAY_OF_WORK, last=DAY_OF_WORK, now=NOW)
    return starts(slots)


def test_it_promises_no_arrival_that_leaves_no_time_for_the_job() -> None:
    job = Job(60 * MINUTE, 30 * MINUTE)
    rules = Rules(zone=LONDON, step=30 * MINUTE)
    whole_day = offered(day_of_work((time(8), time(17))), rules, job)
    assert (whole_day[0], whole_day[-1]) == ("08:00", "15:00")
    dentist = day_of_work((time(8), time(17)), time_off=[(at(13), at(14))])
    assert offered(dentist, rules, job)[6:8] == ["11:00", "14:00"], "arrival by noon leaves an hour of work"


FOUR_HOURS = Rules(zone=LONDON, step=60 * MINUTE, window=timedelta(hours=4))


def test_it_takes_one_visit_after_another_into_wide_windows() -> None:
    """Whoever comes first gets the earliest window that is free: how many visits a day of nine hours holds."""
    job, booked, windows = Job(60 * MINUTE, 30 * MINUTE), list[Interval](), list[str]()
    while slots := free_slots(
        Diary([day_of_work((time(8), time(17)), booked=booked)]),
        rules=FOUR_HOURS,
        job=job,
        first=DAY_OF_WORK,
        last=DAY_OF_WORK,
        now=NOW,
    ):
        planned = slots[0].planned[0]
        booked.append((planned, planned + job.duration + job.buffer))
        windows += starts(slots[:1])
        assert slots[0].starts_at <= planned <= slots[0].arrival_until - FOUR_HOURS.leeway
    assert windows == ["08:00", "08:00", "08:00", "10:00", "11:00"]
    assert all(one[1] <= other[0] for one, other in pairwise(booked))


def test_it_offers_wide_windows_over_a_lunch_break_but_not_over_time_off() -> None:
    job = Job(60 * MINUTE)
    lunch = (time(8), time(12)), (time(13), time(18))
    assert offered(day_of_work(*lunch), FOUR_HOURS, job) == ["09:00", "10:00", "11:00", "13:00"]
    free_until_noon = day_of_work((time(8), time(18)), time_off=[(at(12), at(13))])
    assert offered(free_until_noon, FOUR_HOURS, job) == ["13:00"]
