"""Why a visit cannot be put somewhere, in sentences for staff, and what would make it possible."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone
from django.utils.formats import date_format

from bookings import crew
from bookings.basket import Work
from bookings.models import Booking, Handyman, Visit, WorkingHours
from bookings.slots import calendars
from bookings.slots.rules import Clash, Reason
from bookings.slots.why import Answer


@dataclass(frozen=True, slots=True)
class Finding:
    """One handyman and one window. `sentence` says what speaks against it, `remedy` what could be had instead."""

    handyman: Handyman
    answer: Answer
    sentence: str
    remedy: str

    @property
    def is_free(self) -> bool:
        return self.answer.reason is None


def findings(
    *,
    service: Work,
    starts_at: datetime,
    handyman: Handyman | None = None,
    moving: Booking | None = None,
    postcode: str | None = calendars.ANYWHERE,
    user: User | AnonymousUser,
) -> list[Finding]:
    """Of the handymen who do all of it, or of one, at this time; those who could come first.

    Where the others are is said to a `user` who may see their visits. Eight queries at most.
    """
    reader = calendars.Reader(
        now=timezone.now(),
        service=service,
        handyman=handyman,
        ignoring=moving,
        by_rules=calendars.staff_rules(),
        postcode=moving.postcode if moving else postcode,
    )
    answers = reader.answers(starts_at)
    people = Handyman.objects.in_bulk([answer.handyman_id for answer in answers])
    visits = _visits(answers, user)
    found = [
        Finding(
            people[each.handyman_id],
            each,
            _sentence(each, people[each.handyman_id], starts_at, visits),
            _remedy(each, people[each.handyman_id]),
        )
        for each in answers
    ]
    return sorted(found, key=lambda each: (not each.is_free, each.answer.instead is None, not each.answer.overtime))


def nobody(visit: Visit, handyman: Handyman | None) -> str:
    """What is said where no handyman at all could be asked."""
    if handyman is None:
        return f"No handyman does {visit.title}."
    return f"{handyman} does not do {visit.title}."


def _visits(answers: Iterable[Answer], user: User | AnonymousUser) -> dict[tuple[int, datetime], Booking]:
    """What stands in the way, by its handyman and the planned arrival. One query, if any."""
    times = [time for answer in answers for time in answer.visits]
    if not times:
        return {}
    people = [answer.handyman_id for answer in answers if answer.visits]
    near = Booking.objects.occupying(timezone.now()).overlapping(min(times)[0], max(end for _, end in times))
    found = crew.visible(near, user).filter(handyman__in=people).prefetch_related("service", "lines")
    return {(visit.handyman_id, visit.planned_at): visit for visit in found}


def _sentence(
    answer: Answer, person: Handyman, starts_at: datetime, visits: dict[tuple[int, datetime], Booking]
) -> str:
    day = timezone.localtime(starts_at)
    match answer.reason:
        case None:
            return f"{person} can come."
        case Reason.PAST:
            return "That time has passed."
        case Reason.HORIZON:
            return "That is too far ahead."
        case Reason.OFF_GRID:
            return f"{day:%H:%M} is an odd time: windows open every {_step()}."
        case Clash.TIME_OFF:
            return f"{person} has time off then."
        case Clash.HOLIDAY:
            return f"{date_format(day, 'l j F')} is a holiday."
        case Clash.HOURS:
            return f"{person} {_hours(person, day)}."
    where = "; ".join(_at(person, visits.get((person.pk, start)), end) for start, end in answer.visits)
    if answer.reason is Reason.TRAVEL:
        return f"{where}: the way is too long." if where else f"{person} has too long a way to be there then."
    return f"{where}."


def _at(person: Handyman, visit: Booking | None, end: datetime) -> str:
    if visit is None:
        return f"{person} is busy until {_clock(end)}"
    where = visit.postcode or "a visit"
    return f"{person} is at {where} until {_clock(visit.ends_at)} ({visit.title}), and free from {_clock(end)}"


def _hours(person: Handyman, day: datetime) -> str:
    hours = WorkingHours.objects.filter(handyman=person, weekday=day.weekday()).order_by("start")
    spans = " and ".join(f"{each.start:%H:%M} to {each.end:%H:%M}" for each in hours)
    return f"works {spans} on {day:%A}s" if spans else f"does not work on {day:%A}s"


def _remedy(answer: Answer, person: Handyman) -> str:
    if answer.reason is None:
        return ""
    possible = []
    if answer.instead:
        possible.append(f"at {_clock(answer.instead)} that day")
    if answer.overtime:
        odd = answer.reason in (Reason.OFF_GRID, Reason.TRAVEL)
        possible.append("all the same, by agreement" if odd else f"out of hours, if {person} agrees")
    return f"Possible {' or '.join(possible)}." if possible else "Not possible that day."


def _clock(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M}"


def _step() -> str:
    minutes = int(calendars.current_rules().step.total_seconds() // 60)
    return "hour" if minutes == 60 else f"{minutes} minutes"
