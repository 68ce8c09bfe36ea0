"""What is offered, held to an oracle that walks the clock minute by minute and knows nothing of intervals."""

from dataclasses import dataclass, replace
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
    find_slot,
    free_slots,
    instant,
)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

# Zone, and two days on which its clocks change: by an hour, by an hour, by half an hour.
ZONES = {
    "Europe/London": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
}


@dataclass(frozen=True)
class Case:
    diary: Diary
    rules: Rules
    job: Job
    first: date
    last: date
    now: datetime


def times(step: int = 5) -> st.SearchStrategy[time]:
    return st.integers(0, 1440 // step - 1).map(lambda n: time(n * step // 60, n * step % 60))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    name = draw(st.sampled_from(sorted(ZONES)))
    zone, change = ZoneInfo(name), draw(st.sampled_from(ZONES[name]))
    first = change - draw(st.integers(0, 1)) * DAY
    last = first + draw(st.integers(0, 1)) * DAY
    opening = datetime.combine(first, time(), tzinfo=zone).astimezone(UTC)

    def interval() -> st.SearchStrategy[Interval]:
        starts = st.integers(-10, 600).map(lambda n: opening + n * 5 * MINUTE)
        return st.tuples(starts, st.integers(1, 30)).map(lambda pair: (pair[0], pair[0] + pair[1] * 5 * MINUTE))

    def shift() -> st.SearchStrategy[Shift]:
        weekday = st.sampled_from([first.weekday(), last.weekday()])
        pairs = st.tuples(st.one_of(st.just(time()), times()), st.one_of(st.just(time()), times()))
        pairs = pairs.filter(lambda pair: pair[0] < pair[1] or pair[1] == time())
        return st.builds(lambda day, pair: Shift(day, *pair), weekday, pairs)

    calendars = draw(
        st.lists(
            st.builds(
                Calendar,
                handyman_id=st.integers(1, 99),
                shifts=st.lists(shift(), min_size=1, max_size=3),
                time_off=st.lists(interval(), max_size=1),
                booked=st.lists(interval(), max_size=3),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda calendar: calendar.handyman_id,
        )
    )
    step = draw(st.sampled_from((15, 30, 60, 90)))
    rules = Rules(
        zone=zone,
        step=step * MINUTE,
        window=draw(st.sampled_from((15, 60, 90, 240))) * MINUTE,
        leeway=draw(st.sampled_from((0, 30, 60))) * MINUTE,
        notice=draw(st.integers(0, 8)) * timedelta(hours=1),
        horizon_days=draw(st.integers(1, 3)),
    )
    holidays = draw(st.sampled_from([frozenset[date](), frozenset[date](), frozenset([last])]))
    now = opening + draw(st.integers(-300, 60)) * 5 * MINUTE
    job = Job(draw(st.integers(3, 24)) * 5 * MINUTE, draw(st.integers(0, 12)) * 5 * MINUTE)
    return Case(Diary(calendars, holidays), rules, job, first, last, now)


Minutes = set[datetime]


def minutes_of(start: datetime, length: timedelta) -> Minutes:
    return {start + n * MINUTE for n in range(length // MINUTE)}


@dataclass(frozen=True)
class Person:
    """Every minute (UTC) of a handyman's shifts, of his time off, and of his visits."""

    hours: Minutes
    off: Minutes
    busy: Minutes

    def planned(self, at: datetime, rules: Rules, job: Job) -> datetime | None:
        """The first minute of the window at which he could arrive, if the whole window can be promised."""
        until, leeway = at + rules.window, min(rules.leeway, rules.window)
        if not minutes_of(at, job.duration) | minutes_of(until, job.duration) <= self.hours:
            return None
        if minutes_of(at, rules.window + job.duration) & self.off:
            return None
        for arrival in sorted(minutes_of(at, rules.window - leeway + MINUTE)):
            late = minutes_of(arrival, leeway + job.duration)
            whole = minutes_of(arrival, job.duration + job.buffer)
            if whole <= self.hours - self.off - self.busy and late <= self.hours - self.off:
                return arrival
        return None


def person(case: Case, calendar: Calendar) -> Person:
    """The slow way, by looking at the clock each minute.

    A shift begins when the local clock first shows its start, or first shows something later; it ends likewise.
    """
    zone = case.rules.zone
    opening = datetime.combine(case.first - DAY, time(), tzinfo=zone).astimezone(UTC)
    minutes = [opening + n * MINUTE for n in range(((case.last - case.first).days + 4) * 1440)]
    clock = [(minute, minute.astimezone(zone).replace(tzinfo=None)) for minute in minutes]
    hours: Minutes = set()
    day = case.first
    while day <= case.last + DAY:  # a job begun late may run into the next day's shift
        for shift in calendar.shifts:
            if shift.weekday != day.weekday() or day in case.diary.holidays:
                continue
            opens = datetime.combine(day, shift.start)
            closes = datetime.combine(day + DAY if shift.end == time() else day, shift.end)
            begun = next(n for n, (_, local) in enumerate(clock) if local >= opens)
            ended = next(n for n, (_, local) in enumerate(clock) if local >= closes)
            hours.update(minutes[begun:ended])
        day += DAY
    off, busy = (
        set().union(*(minutes_of(start, end - start) for start, end in intervals))
        for intervals in (calendar.time_off, calendar.booked)
    )
    return Person(hours, off, busy)


def oracle(case: Case) -> list[Slot]:
    zone, step = case.rules.zone, case.rules.step // MINUTE
    people = {calendar.handyman_id: person(case, calendar) for calendar in case.diary.calendars}
    latest_day = case.now.astimezone(zone).date() + case.rules.horizon_days * DAY
    opening = datetime.combine(case.first - DAY, time(), tzinfo=zone).astimezone(UTC)
    seen: set[datetime] = set()
    slots = []
    for n in range(((case.last - case.first).days + 4) * 1440):
        at = opening + n * MINUTE
        local = at.astimezone(zone).replace(tzinfo=None)
        again = local in seen  # the clock went back: this reading was there before
        seen.add(local)
        on_grid = (local.hour * 60 + local.minute) % step == 0
        if again or not on_grid or not case.first <= local.date() <= min(case.last, latest_day):
            continue
        if at < case.now + case.rules.notice:
            continue
        planned = {pk: people[pk].planned(at, case.rules, case.job) for pk in sorted(people)}
        takers = {pk: arrival for pk, arrival in planned.items() if arrival is not None}
        if takers:
            slots.append(Slot(at, at + case.rules.window, tuple(takers), tuple(takers.values())))
    return slots


@settings(max_examples=100, deadline=None)
@given(cases())
def test_it_offers_what_a_minute_by_minute_walk_finds(case: Case) -> None:
    offered = free_slots(case.diary, rules=case.rules, job=case.job, first=case.first, last=case.last, now=case.now)
    assert offered == oracle(case)


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=60, deadline=None)
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
        booked.append((begins, begins + job.duration + job.buffer))
    at_work, leeway = person(case, calendar), min(rules.leeway, rules.window)
    for slot in taken:
        late = slot.planned[0] + leeway
        assert slot.starts_at <= late <= slot.arrival_until
        assert minutes_of(late, job.duration) <= at_work.hours - at_work.off
    visits = sorted(slot.planned[0] for slot in taken)
    assert all(one + job.duration + job.buffer <= other for one, other in pairwise(visits))


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
