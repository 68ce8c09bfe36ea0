"""How long ways take, held to a walk by the minute, on days on which clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.slots.rules import Calendar, Diary, Job, Reason, Rules, Shift, Slot, Visit, find_slot, free_slots
from bookings.slots.travel import Place, Places, Travel, metres, speeds_by_hour
from tests.walked_windows import DAY, MINUTE, PLACES, ZONES, at_the_door

PECKHAM, CAMDEN, DOVER = (PLACES[0],), (PLACES[2],), (PLACES[4],)
CHANGES = [(name, day) for name, days in ZONES.items() for day in days]


def test_it_knows_how_far_places_are_apart() -> None:
    paris, new_york = Place(48.8566, 2.3522), Place(40.7128, -74.0060)
    assert metres(paris, new_york) == pytest.approx(5_837_000, rel=0.001)
    assert metres(paris, paris) == 0
    assert metres(Place(0, 179.9), Place(0, -179.9)) == pytest.approx(22_239, rel=0.001)


@given(st.sampled_from(CHANGES), st.integers(0, 3000), st.sampled_from(PLACES), st.sampled_from(PLACES))
def test_it_arrives_when_a_walk_by_the_minute_does(
    change: tuple[str, date], after: int, one: Place, other: Place
) -> None:
    name, day = change
    travel = Travel(ZoneInfo(name), tuple(range(9, 57, 2)))
    leaves = datetime.combine(day, time(), tzinfo=ZoneInfo(name)).astimezone(UTC) - DAY / 2 + after * MINUTE
    arrives = travel.arrival(metres(one, other), leaves)
    assert timedelta() <= at_the_door(leaves, (one,), (other,), travel) - arrives < MINUTE


@given(st.sampled_from(CHANGES), st.integers(0, 200_000), st.integers(0, 90_000), st.integers(1, 4000))
def test_the_latest_departure_is_the_last_that_arrives_in_time(
    change: tuple[str, date], second: int, distance: int, later: int
) -> None:
    name, day = change
    travel = Travel(ZoneInfo(name), tuple(range(56, 8, -2)))
    due = datetime.combine(day, time(), tzinfo=ZoneInfo(name)).astimezone(UTC) + timedelta(seconds=second)
    leaves = travel.departure(distance, due)
    assert travel.arrival(distance, leaves) <= due < travel.arrival(distance, leaves + timedelta(seconds=1))
    assert travel.arrival(distance, leaves + timedelta(seconds=later)) >= travel.arrival(distance, leaves)


def test_it_reads_speeds_by_hour() -> None:
    assert speeds_by_hour("0=35, 7=20,10=24") == (35,) * 7 + (20,) * 3 + (24,) * 14
    for wrong in ("", "35", "7=20", "0=0", "0=35,24=20", "0=fast"):
        with pytest.raises(ValueError, match=r"km/h|invalid literal"):
            speeds_by_hour(wrong)


LONDON = ZoneInfo("Europe/London")
RULES = Rules(LONDON, step=30 * MINUTE, travel=Travel(LONDON))
NOW = datetime(2026, 6, 9, 8, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 6, 10, hour, minute, tzinfo=LONDON).astimezone(UTC)


def day_of(*visits: Visit, begins: Places = (), ends: Places = ()) -> Diary:
    return Diary([Calendar(1, [Shift(2, time(8), time(18))], booked=visits, begins=begins, ends=ends)])


def offered(diary: Diary, job: Job) -> list[Slot]:
    day = at(12).date()
    return free_slots(diary, rules=RULES, job=job, first=day, last=day, now=NOW)


def starts(slots: list[Slot]) -> list[str]:
    return [f"{slot.starts_at.astimezone(LONDON):%H:%M}" for slot in slots]


IN_PECKHAM = Visit(at(12), at(13), at(13), 30 * MINUTE, PECKHAM)


def test_next_door_is_free_sooner_than_across_the_town() -> None:
    gone: dict[str, set[str]] = {}
    for name, places in {"unknown": (), "next door": PLACES[1:2], "across": CAMDEN}.items():
        job = Job(60 * MINUTE, 30 * MINUTE, places)
        gone[name] = set(starts(offered(day_of(), job))) - set(starts(offered(day_of(IN_PECKHAM), job)))
    assert sorted(gone["unknown"]) == ["11:00", "11:30", "12:00", "12:30", "13:00"]
    assert sorted(gone["next door"]) == ["11:00", "11:30", "12:00", "12:30", "13:00"]
    assert sorted(gone["across"]) == ["10:30", "11:00", "11:30", "12:00", "12:30", "13:00", "13:30"]


def test_the_day_begins_and_ends_where_the_handyman_does() -> None:
    job = Job(60 * MINUTE, 0 * MINUTE, CAMDEN)
    free, from_peckham = starts(offered(day_of(), job)), starts(offered(day_of(begins=PECKHAM, ends=PECKHAM), job))
    assert (free[0], free[-1]) == ("08:00", "16:00")
    assert (from_peckham[0], from_peckham[-1]) == ("09:00", "16:00")
    assert starts(offered(day_of(begins=DOVER), job))[0] == "14:30"


def test_a_window_on_the_way_is_known_as_one() -> None:
    near, far = (
        offered(day_of(IN_PECKHAM, begins=CAMDEN, ends=CAMDEN), Job(60 * MINUTE, places=p)) for p in (PECKHAM, DOVER)
    )
    assert all(slot.is_nearby and slot.extra == (0,) for slot in near)
    assert not any(slot.is_nearby for slot in far)


def test_who_is_nearby_is_the_same_from_every_door_of_a_square() -> None:
    def near(place: Place) -> dict[datetime, bool]:
        found = offered(day_of(IN_PECKHAM), Job(MINUTE, places=(place,)))
        return {slot.starts_at: slot.is_nearby for slot in found}

    seen = set[bool]()
    for up, right in product(range(4), range(5)):
        middle = Place(round(51.47 + up / 100, 2), round(-0.06 + right / 100, 2))
        for north, east in product((-0.0049, 0.0049), repeat=2):
            at_middle, at_door = near(middle), near(Place(middle.latitude + north, middle.longitude + east))
            assert all(at_middle[each] == at_door[each] for each in at_middle.keys() & at_door.keys())
            seen.update(at_door.values())
    assert seen == {True, False}


def test_it_says_when_only_the_way_is_too_long() -> None:
    job = Job(60 * MINUTE, 30 * MINUTE, CAMDEN)
    found = {
        hour: find_slot(day_of(IN_PECKHAM), rules=RULES, job=job, starts_at=at(*hour), now=NOW)
        for hour in ((12, 0), (13, 0), (20, 0))
    }
    assert list(found.values()) == [Reason.TAKEN, Reason.TRAVEL, Reason.CLOSED]


def test_anywhere_in_an_area_is_as_far_as_its_farthest_corner() -> None:
    everywhere = starts(offered(day_of(IN_PECKHAM), Job(60 * MINUTE, places=PLACES[:4])))
    for place in PLACES[:4]:
        assert set(everywhere) <= set(starts(offered(day_of(IN_PECKHAM), Job(60 * MINUTE, places=(place,)))))
