"""How far the crew drives in a simulated year, by who is given a job: whoever has the fewest, or has it on his way.

All get the same jobs in the same order, and the same rules offer them windows; a job that one cannot take that day is
taken by none. Six handymen live in different parts of London, and customers at its postcodes. Each takes the free
window closest to the hour they would like; in the third way every other customer takes one that is marked "someone is
nearby" if there is one within two hours of that. Beside them stands the shortest plan of the same days and windows,
which knows all jobs of a day at once (pyvroom).
"""

import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from benchmarks.measured import Figure
from bookings.slots.rules import Calendar, Diary, Job, Rules, Shift, Slot, Visit, free_slots
from bookings.slots.travel import Place, Travel, metres
from harness.stack import BASE_DIR

SEEDS = (1, 2, 3)
DAYS = 250
_LONDON = ZoneInfo("Europe/London")
_PYVROOM = BASE_DIR / ".tools" / "vroom" / "bin" / "python"
_SHIFTS = [Shift(weekday, time(8), time(18)) for weekday in range(7)]
_RULES = Rules(_LONDON, window=timedelta(hours=2), leeway=timedelta(hours=1), travel=Travel(_LONDON))
_FLEXIBLE = timedelta(hours=2)
_LENGTHS = (60, 60, 90, 90, 120)
_Choice = Callable[[Slot, "End", date], int]


@dataclass
class End:
    """One way to give jobs away, and what has come of it. `marks` says that customers see who is nearby."""

    choose: _Choice
    marks: bool = False
    given: Counter[int] = field(default_factory=Counter)
    metres: int = 0
    visits: dict[int, list[Visit]] = field(default_factory=dict)


def fewest(slot: Slot, end: End, _day: date) -> int:
    """Whoever has the fewest visits that day, then of all days."""
    return min(slot.handyman_ids, key=lambda pk: (len(end.visits[pk]), end.given[pk], pk))


def nearest(slot: Slot, end: End, day: date) -> int:
    """Whoever drives the least more for it (bookings.slots.assignment)."""
    extra = dict(zip(slot.handyman_ids, slot.extra, strict=True))
    turn = {pk: (len(end.visits[pk]), end.given[pk], pk) for pk in slot.handyman_ids}
    return min(slot.handyman_ids, key=lambda pk: (extra[pk] or 0, turn[pk]))


def figures(quick: bool = False) -> list[Figure]:
    """The share of metres saved of each seed, and how far from the plan of pyvroom they are."""
    saved, marked, jobs, beside = list[float](), list[float](), list[float](), list[list[float]]()
    for seed in SEEDS[:1] if quick else SEEDS:
        ends, taken, days = _year(seed, 20 if quick else DAYS)
        least, near, seen = ends
        saved.append(100 * (1 - near.metres / least.metres))
        marked.append(100 * (1 - seen.metres / least.metres))
        jobs.append(taken)
        if _PYVROOM.exists():
            beside.append([_gap(*pair) for pair in zip(ends, days, strict=True)])
    found = [
        Figure("travel", "miles saved by giving jobs to whoever drives the least more", saved, "%"),
        Figure("travel", "miles saved, with windows marked as well", marked, "%", 25, at_least=True),
        Figure("travel", "jobs of a year", jobs, ""),
    ]
    for number, what in enumerate(("fewest visits", "least extra way", "and marked windows")):
        if beside:
            found.append(Figure("travel", f"{what}: against pyvroom's plan", [each[number] for each in beside]))
    return found


def _gap(end: End, days: list[object]) -> float:
    return end.metres / _shortest(days)


def _year(seed: int, days: int) -> tuple[list[End], int, list[list[object]]]:
    """The three ways, how many jobs each took, and for each way its days as another planner needs to know them."""
    chance = random.Random(seed)
    town = _town()
    homes = {pk: chance.choice(town) for pk in range(1, 7)}
    ends = [End(fewest), End(nearest), End(nearest, marks=True)]
    taken, planned = 0, [list[object]() for _ in ends]
    for number in range(days):
        day = date(2026, 1, 5) + timedelta(days=number)
        stops: list[list[tuple[Slot, Job]]] = [[] for _ in ends]
        for end in ends:
            end.visits = {pk: [] for pk in homes}
        for _ in range(chance.randint(14, 24)):
            job = Job(timedelta(minutes=chance.choice(_LENGTHS)), timedelta(minutes=30), (chance.choice(town),))
            wanted = datetime.combine(day, time(chance.randint(8, 16)), tzinfo=_LONDON).astimezone(UTC)
            is_flexible = chance.random() < 1 / 2
            found = (_taken(end, homes, day, job, wanted, is_flexible=is_flexible) for end in ends)
            slots = [slot for slot in found if slot is not None]
            if len(slots) == len(ends):
                taken += 1
                for end, slot, own in zip(ends, slots, stops, strict=True):
                    _give(end, slot, job, day)
                    own.append((slot, job))
        for end, own, of_end in zip(ends, stops, planned, strict=True):
            end.metres += sum(_driven(homes[pk], visits) for pk, visits in end.visits.items())
            of_end.append(_for_others(homes, day, own))
    return ends, taken, planned


def _town() -> list[Place]:
    """Where customers are: the demo's postcodes."""
    rows = (BASE_DIR / "bookings" / "demo_postcodes.csv").read_text().splitlines()
    return [Place(float(row.split(",")[1]), float(row.split(",")[2])) for row in rows]


def _taken(
    end: End, homes: dict[int, Place], day: date, job: Job, wanted: datetime, *, is_flexible: bool
) -> Slot | None:
    """The window that the customer takes; None where the day has none."""
    calendars = [
        Calendar(pk, _SHIFTS, booked=end.visits[pk], begins=(home,), ends=(home,)) for pk, home in homes.items()
    ]
    now = datetime.combine(day, time(), tzinfo=_LONDON).astimezone(UTC) - timedelta(days=1)
    slots = free_slots(Diary(calendars), rules=_RULES, job=job, first=day, last=day, now=now)
    if end.marks and is_flexible:
        slots = [slot for slot in slots if slot.is_nearby and abs(slot.starts_at - wanted) <= _FLEXIBLE] or slots
    return min(slots, key=lambda slot: abs(slot.starts_at - wanted), default=None)


def _give(end: End, slot: Slot, job: Job, day: date) -> None:
    pk = end.choose(slot, end, day)
    arrives = slot.planned[slot.handyman_ids.index(pk)]
    done = arrives + job.duration
    end.visits[pk].append(Visit(arrives, done, done, job.buffer, job.places))
    end.given[pk] += 1


def _driven(home: Place, visits: Iterable[Visit]) -> int:
    places = [home, *(visit.places[0] for visit in sorted(visits)), home]
    return sum(metres(one, other) for one, other in pairwise(places)) if len(places) > 2 else 0


def _for_others(homes: dict[int, Place], day: date, stops: list[tuple[Slot, Job]]) -> object:
    """A day with the windows that customers took, in seconds and degrees."""
    opens = datetime.combine(day, time(8), tzinfo=_LONDON).timestamp()
    jobs = [
        (*job.places[0], job.duration.total_seconds(), slot.starts_at.timestamp(), slot.arrival_until.timestamp())
        for slot, job in stops
    ]
    return {"homes": list(homes.values()), "hours": (opens, opens + 36_000), "jobs": jobs}


def _shortest(days: list[object]) -> int:
    """The metres of pyvroom's plan of these days."""
    script = BASE_DIR / "benchmarks" / "peers" / "vroom_plan.py"
    done = subprocess.run(
        [_PYVROOM, script], input=json.dumps(days), stdout=subprocess.PIPE, text=True, check=True, timeout=600
    )
    return int(done.stdout)
