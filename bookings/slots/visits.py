"""Which jobs go into one visit: those that one handyman can do, and that fit into his hours."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from bookings.basket import Basket
from bookings.models import BookingLine, Handyman, Service, WorkingHours
from bookings.slots import calendars, rules
from bookings.slots.rules import Calendar, Job, Shift

_Crew = dict[int, tuple[frozenset[int], list[Shift]]]


def split(basket: Basket, now: datetime) -> list[Basket]:
    """The basket as the visits that it takes, in its order; itself alone where one visit is enough.

    A job goes into the first visit that it fits into, as much of it as possible. What no visit has room for is left
    out. Whatever is booked does not count: it is about skills and working hours. Two queries.
    """
    crew, visits = _crew(basket.services), list[Basket]()

    def fits(visit: Basket) -> bool:
        wanted = frozenset(each.pk for each in visit.services)
        able = [Calendar(pk, shifts) for pk, (skills, shifts) in crew.items() if wanted <= skills]
        job = Job(visit.duration, visit.buffer)
        return rules.is_ever_possible(able, rules=calendars.current_rules(), job=job, now=now)

    for line in basket.jobs:
        left = line.quantity
        while left:
            tried = ((number, *each) for number in range(left, 0, -1) for each in _placed(visits, line, number))
            found = next(((number, place, visit) for number, place, visit in tried if fits(visit)), None)
            if found is None:
                break
            number, place, visit = found
            visits[place : place + 1] = [visit]
            left -= number
    return visits


def _placed(visits: list[Basket], line: BookingLine, quantity: int) -> Iterator[tuple[int, Basket]]:
    """Each visit with this job so many times, and a new one of it alone, with their places."""
    part = BookingLine.of(line.service, quantity)
    for place, visit in enumerate(visits):
        if line.service not in visit.services:
            yield place, Basket((*visit.jobs, part))
    yield len(visits), Basket((part,))


def _crew(services: list[Service]) -> _Crew:
    """Of each active handyman, which of these services he does, and when he works."""
    skills, shifts = defaultdict[int, set[int]](set), defaultdict[int, list[Shift]](list)
    done = Handyman.skills.through.objects.filter(service__in=services, handyman__active=True)
    for handyman_id, service_id in done.values_list("handyman_id", "service_id"):
        skills[handyman_id].add(service_id)
    hours = WorkingHours.objects.filter(handyman__in=list(skills))
    for handyman_id, weekday, opens, closes in hours.values_list("handyman_id", "weekday", "start", "end"):
        shifts[handyman_id].append(Shift(weekday, opens, closes))
    return {pk: (frozenset(skills[pk]), shifts[pk]) for pk in shifts}
