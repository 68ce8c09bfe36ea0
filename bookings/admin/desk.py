"""The admin's first page: today, and who is where. What waits for the office is in panels.py."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone
from django.utils.functional import cached_property

from bookings import crew
from bookings.admin import clashes
from bookings.admin.schedule import in_day, visits_between
from bookings.models import Booking, Handyman, TimeOff
from bookings.slots import calendars, rules

AHEAD = timedelta(days=7)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Whereabouts:
    """What one handyman is doing: at a visit now, or why at none, and what is next today."""

    handyman: Handyman
    now: Booking | None
    next: Booking | None
    left: int
    """Visits still to make today."""
    absence: str
    """Why he is not at work now; empty where he is."""


@dataclass
class Desk:
    """What the first page shows to `user` at `now`. Each of its parts is read once, and only when asked for."""

    user: User | AnonymousUser
    now: datetime = field(default_factory=timezone.now)

    @property
    def sees_visits(self) -> bool:
        return self.may("view_booking", "change_booking", "view_own_booking")

    def may(self, *permissions: str) -> bool:
        return any(self.user.has_perm(f"bookings.{each}") for each in permissions)

    @property
    def today(self) -> date:
        return timezone.localdate(self.now)

    @cached_property
    def week(self) -> list[Booking]:
        """What stands in the schedule from today's midnight for seven days, in order of the planned arrival."""
        start, end = calendars.midnight(self.today), calendars.midnight(self.today + AHEAD)
        visits = visits_between(start, end, self.now)
        return list(crew.visible(visits, self.user))

    def on(self, day: date) -> list[Booking]:
        """The visits of a local day of this week."""
        return [visit for visit in self.week if timezone.localdate(visit.starts_at) == day]

    @property
    def to_make(self) -> int:
        """Visits of today that are still open."""
        return sum(visit.is_open for visit in self.on(self.today))

    @property
    def tomorrow(self) -> int:
        """Visits of tomorrow."""
        return sum(visit.is_open for visit in self.on(self.today + DAY))

    @cached_property
    def handymen(self) -> list[Handyman]:
        return list(crew.visible(Handyman.objects.active(), self.user, by="user"))

    @cached_property
    def diary(self) -> clashes.Diary:
        people = {visit.handyman_id for visit in self.week} | {person.pk for person in self.handymen}
        return clashes.Diary.of(people)

    @cached_property
    def whereabouts(self) -> list[Whereabouts]:
        """Everybody who works here: those at a visit first, then those with one ahead, then the others."""
        of_person: dict[int, list[Booking]] = defaultdict(list)
        for visit in self.on(self.today):
            of_person[visit.handyman_id].append(visit)
        found = [self._of(person, of_person[person.pk]) for person in self.handymen]
        return sorted(found, key=lambda each: (each.now is None, each.next is None, bool(each.absence)))

    def _of(self, person: Handyman, visits: Iterable[Booking]) -> Whereabouts:
        ahead = [visit for visit in visits if visit.is_open and visit.ends_at > self.now]
        at = next((visit for visit in ahead if visit.planned_at <= self.now), None)
        following = [visit for visit in ahead if visit.planned_at > self.now]
        absence = "" if at else self._absence(person)
        return Whereabouts(person, at, following[0] if following else None, len(ahead), absence)

    def _absence(self, person: Handyman) -> str:
        day, calendar = self.today, self.diary.calendars[person.pk]
        for start, end in calendar.time_off:
            if start <= self.now < end:
                return f"Off {in_day(TimeOff(starts_at=start, ends_at=end), day).when}"
        if day in self.diary.holidays:
            return "Holiday"
        zone = calendars.current_rules().zone
        shifts = [shift for shift in calendar.shifts if shift.weekday == day.weekday()]
        if not rules.working_time(calendar, self.diary.holidays, zone, day, day):
            return "Not working today"
        moment = timezone.localtime(self.now).time()
        if any(shift.start <= moment and (moment < shift.end or not shift.end) for shift in shifts):
            return ""
        later = sorted(shift.start for shift in shifts if shift.start > moment)
        return f"Begins at {later[0]:%H:%M}" if later else "Finished for today"

    @cached_property
    def impossible(self) -> int:
        """Services that nobody can be sent for, where the user may see services."""
        return len(calendars.impossible()) if self.may("view_service", "change_service") else 0
