"""An oracle for arrival windows and ways: it walks the clock minute by minute and knows nothing of intervals."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from bookings.slots.rules import Calendar, Diary, Interval, Job, Rules, Shift, Slot, Visit
from bookings.slots.travel import Place, Places, Travel, farthest

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


# Streets of London, two of them in the same house, and one that is far from all others.
PLACES = tuple(map(Place, (51.47, 51.47, 51.56, 51.52, 51.13), (-0.06, -0.06, -0.13, -0.21, 1.31)))


def places() -> st.SearchStrategy[Places]:
    """None, one, or two of which it may be either."""
    return st.lists(st.sampled_from(PLACES), max_size=2, unique=True).map(tuple)


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

    def visit() -> st.SearchStrategy[Visit | Interval]:
        lengths = st.integers(0, 12).map(lambda n: n * 5 * MINUTE)
        whole = st.builds(
            lambda span, kept, keeps, at: Visit(span[0], span[1] + kept, span[1], keeps, at),
            interval(), st.one_of(st.just(0 * MINUTE), lengths), lengths, places(),
        )  # fmt: skip
        return st.one_of(interval(), whole)

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
                booked=st.lists(visit(), max_size=3),
                begins=places(),
                ends=places(),
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
        travel=draw(st.sampled_from((None, Travel(zone), Travel(zone, tuple(range(9, 57, 2)), 150, 3 * MINUTE)))),
    )
    holidays = draw(st.sampled_from([frozenset[date](), frozenset[date](), frozenset([last])]))
    now = opening + draw(st.integers(-300, 60)) * 5 * MINUTE
    job = Job(draw(st.integers(3, 24)) * 5 * MINUTE, draw(st.integers(0, 12)) * 5 * MINUTE, draw(places()))
    return Case(Diary(calendars, holidays), rules, job, first, last, now)


Minutes = set[datetime]


def minutes_of(start: datetime, length: timedelta) -> Minutes:
    return {start + n * MINUTE for n in range(length // MINUTE)}


def at_the_door(leaves: datetime, one: Places, other: Places, travel: Travel) -> datetime:
    """When somebody arrives who drives on minute by minute, as fast as one drives at that time, and then parks."""
    at, left = leaves, farthest(one, other) * travel.detour_percent * 36 / 1000
    while left > 0:
        left -= 60 * travel.speeds[at.astimezone(travel.zone).hour]
        at += MINUTE
    return at + travel.parking


@dataclass(frozen=True)
class Person:
    """Every minute (UTC) of a handyman's shifts and of his time off, and his visits."""

    hours: Minutes
    off: Minutes
    calendar: Calendar

    def planned(self, at: datetime, rules: Rules, job: Job) -> datetime | None:
        """The first minute of the window at which he could arrive, if the whole window can be promised."""
        until, leeway = at + rules.window, min(rules.leeway, rules.window)
        if not minutes_of(at, job.duration) | minutes_of(until, job.duration) <= self.hours:
            return None
        if minutes_of(at, rules.window + job.duration) & self.off:
            return None
        for arrival in sorted(minutes_of(at, rules.window - leeway + MINUTE)):
            late = minutes_of(arrival, leeway + job.duration)
            if late <= self.hours - self.off and self.gets_there(arrival, rules, job):
                return arrival
        return None

    def gets_there(self, arrival: datetime, rules: Rules, job: Job) -> bool:
        done, ways = arrival + job.duration, rules.travel if job.places else None
        for each in self.calendar.booked:
            visit = Visit(*each)
            if ways and visit.places:
                before = at_the_door(done, job.places, visit.places, ways) <= visit.start
                after = at_the_door(visit.leaves or visit.until, visit.places, job.places, ways) <= arrival
                after = after and visit.until <= arrival
            else:
                before = done + job.buffer <= visit.start
                after = arrival >= max(visit.until, (visit.leaves or visit.until) + visit.buffer)
            if not (before or after):
                return False
        work = self.hours - self.off
        if not ways:
            return minutes_of(done, job.buffer) <= work
        morning, evening = self.day_of(arrival, rules.zone)
        if self.calendar.begins and at_the_door(morning, self.calendar.begins, job.places, ways) > arrival:
            return False
        if self.calendar.ends and at_the_door(done, job.places, self.calendar.ends, ways) > evening:
            return False
        if self.calendar.ends and self.stretch_ends(done) == evening:
            return True
        return minutes_of(done, job.buffer) <= work

    def stretch_ends(self, done: datetime) -> datetime:
        """The end of the time of work without a break that the job ends in."""
        work = self.hours - self.off
        while done in work:
            done += MINUTE
        return done

    def day_of(self, at: datetime, zone: ZoneInfo) -> Interval:
        """When the day of work began, and will end, that this is in: a night in which nobody works lies between two."""
        work, last = sorted(self.hours - self.off), None
        morning = work[0]
        for minute in work:
            if last and minute - last > MINUTE and minute.astimezone(zone).date() != last.astimezone(zone).date():
                if minute > at:
                    return morning, last + MINUTE
                morning = minute
            last = minute
        assert last is not None
        return morning, last + MINUTE


def person(case: Case, calendar: Calendar) -> Person:
    """The slow way, by looking at the clock each minute.

    A shift begins when the local clock first shows its start, or first shows something later; it ends likewise.
    """
    zone = case.rules.zone
    opening = datetime.combine(case.first - DAY, time(), tzinfo=zone).astimezone(UTC)
    minutes = [opening + n * MINUTE for n in range(((case.last - case.first).days + 4) * 1440)]
    clock = [(minute, minute.astimezone(zone).replace(tzinfo=None)) for minute in minutes]
    hours: Minutes = set()
    day = case.first - DAY  # whose night may go on
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
    off: Minutes = set().union(*(minutes_of(start, end - start) for start, end in calendar.time_off))
    return Person(hours, off, calendar)


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
            is_driven = case.rules.travel is not None and len(case.job.places) == 1
            kept = timedelta() if is_driven else case.job.buffer
            slots.append(Slot(at, at + case.rules.window, tuple(takers), tuple(takers.values()), buffer=kept))
    return slots
