"""Why a window is not offered, and what would make it possible. Pure: the rules, asked again with one thing changed."""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from bookings.slots import rules
from bookings.slots.rules import Calendar, Clash, Diary, Interval, Job, Reason, Rules, Shift, Slot, Visit

ODD_STEP = timedelta(minutes=5)
"""Where windows may open that staff choose themselves."""
_ALL_DAY = tuple(Shift(weekday, time(), time()) for weekday in range(7))
_FINAL = (Reason.PAST, Reason.HORIZON)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one handyman's calendar says to one window; `reason` is None where he can take it.

    `visits` are what he does then (half-open, UTC). `instead` is the nearest window of that day that he could take,
    `overtime` whether he could take this one if he worked out of hours, or began at an odd minute, however far it is.
    """

    handyman_id: int
    reason: Reason | Clash | None
    visits: tuple[Interval, ...] = ()
    instead: datetime | None = None
    overtime: bool = False


def without_hours(diary: Diary) -> Diary:
    """The same handymen without their working hours: at work around the clock, but for their time off."""
    return Diary([replace(each, shifts=_ALL_DAY) for each in diary.calendars])


def at_odd_times(by: Rules) -> Rules:
    """The same rules with windows that open every five minutes."""
    return replace(by, step=ODD_STEP)


def ask(diary: Diary, *, by: Rules, job: Job, starts_at: datetime, now: datetime) -> list[Answer]:
    """An answer of each of these handymen. The diary must reach to `rules.reach(job, day)`."""
    return [_ask(each, diary, by, job, starts_at, now) for each in diary.calendars]


def _ask(calendar: Calendar, diary: Diary, by: Rules, job: Job, starts_at: datetime, now: datetime) -> Answer:
    alone = Diary([calendar], diary.holidays)

    def find(among: Diary, rules_: Rules) -> Slot | Reason:
        return rules.find_slot(among, rules=rules_, job=job, starts_at=starts_at, now=now)

    found = find(alone, by)
    if isinstance(found, Slot):
        return Answer(calendar.handyman_id, None)
    if found in _FINAL:
        return Answer(calendar.handyman_id, found)
    odd = find(alone, at_odd_times(by))
    reason: Reason | Clash = found if isinstance(odd, Slot) else odd
    if reason is Reason.CLOSED:
        clash = rules.clash(
            calendar, diary.holidays, zone=by.zone, starts_at=starts_at, until=starts_at + by.window, job=job
        )
        reason = clash or Clash.HOURS
    is_odd, is_away = isinstance(odd, Slot), reason is Clash.TIME_OFF
    return Answer(
        calendar.handyman_id,
        reason,
        () if is_odd or isinstance(reason, Clash) else _in_the_way(calendar, diary, by, job, starts_at, now),
        _nearest(alone, by, job, starts_at, now),
        not is_away and _could_be_agreed(alone, by, job, starts_at, now),
    )


def _could_be_agreed(alone: Diary, by: Rules, job: Job, starts_at: datetime, now: datetime) -> bool:
    """Whether he has the time if he works out of hours, begins at an odd minute, ignoring travel time."""
    found = rules.find_slot(without_hours(alone), rules=at_odd_times(by), job=job, starts_at=starts_at, now=now)
    return isinstance(found, Slot) or found is Reason.TRAVEL


def _in_the_way(
    calendar: Calendar, diary: Diary, by: Rules, job: Job, starts_at: datetime, now: datetime
) -> tuple[Interval, ...]:
    """The visit without which it could be had, where one alone is in the way; else all that touch the window."""
    ends = starts_at + by.window + job.duration
    near = [each for each in calendar.booked if each[0] < ends + job.buffer and each[1] > starts_at - by.window]
    for each in near:
        rest = replace(calendar, booked=[other for other in calendar.booked if other is not each])
        without = Diary([rest], diary.holidays)
        if isinstance(rules.find_slot(without, rules=at_odd_times(by), job=job, starts_at=starts_at, now=now), Slot):
            return (_times(each),)
    return tuple(sorted(_times(each) for each in near if each[0] < ends and each[1] > starts_at))


def _times(booked: Visit | Interval) -> Interval:
    return booked[0], booked[1]


def _nearest(alone: Diary, by: Rules, job: Job, starts_at: datetime, now: datetime) -> datetime | None:
    day = starts_at.astimezone(by.zone).date()
    free = rules.free_slots(alone, rules=by, job=job, first=day, last=day, now=now)
    return min((slot.starts_at for slot in free), key=lambda at: abs(at - starts_at), default=None)
