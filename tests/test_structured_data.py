"""What search engines read of the business: when somebody works, where it is, how it is rung."""

import itertools
import json
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings import structured_data
from bookings.models import Handyman, Weekday, WorkingHours
from tests import factories

pytestmark = pytest.mark.django_db


def opened() -> dict[str, list[tuple[str, str]]]:
    """The hours of each day."""
    days: dict[str, list[tuple[str, str]]] = {}
    for each in structured_data.opening_hours():
        for day in each["dayOfWeek"]:  # type: ignore[attr-defined]  # a list of names
            days.setdefault(day, []).append((str(each["opens"]), str(each["closes"])))
    return days


def test_it_is_open_when_anybody_works() -> None:
    factories.handyman(days=(0, 1), start=time(8), end=time(17))
    factories.handyman(days=(1, 5), start=time(10), end=time(19))
    factories.handyman(days=(6,), start=time(0), end=time(6), active=False)
    assert opened() == {
        "Monday": [("08:00", "17:00")], "Tuesday": [("08:00", "19:00")], "Saturday": [("10:00", "19:00")],
    }  # fmt: skip


def test_days_of_the_same_hours_stand_together() -> None:
    factories.handyman(days=range(5), start=time(8), end=time(18))
    (hours,) = structured_data.opening_hours()
    assert hours["dayOfWeek"] == ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]


def test_a_break_and_midnight_are_told_as_they_are() -> None:
    factories.handyman(days=(2,), start=time(8), end=time(12))
    factories.handyman(days=(2,), start=time(13), end=time(0))
    assert opened() == {"Wednesday": [("08:00", "12:00"), ("13:00", "23:59")]}


def test_a_business_without_hours_claims_none() -> None:
    assert structured_data.opening_hours() == []


minutes = st.integers(0, 23 * 60 + 58)


@given(st.lists(st.tuples(st.integers(0, 6), minutes, minutes).filter(lambda hours: hours[1] < hours[2]), max_size=12))
def test_it_is_open_in_exactly_the_minutes_that_somebody_works(worked: list[tuple[int, int, int]]) -> None:
    Handyman.objects.all().delete()
    handyman = factories.handyman(days=())
    WorkingHours.objects.bulk_create(
        WorkingHours(handyman=handyman, weekday=day, start=time(*divmod(opens, 60)), end=time(*divmod(closes, 60)))
        for day, opens, closes in worked
    )
    shown = opened()
    for day in Weekday:
        stretches = [(_minute(opens), _minute(closes)) for opens, closes in shown.get(day.label, [])]
        told = {minute for opens, closes in stretches for minute in range(opens, closes)}
        assert told == {m for weekday, opens, closes in worked if weekday == day for m in range(opens, closes)}
        assert stretches == sorted(stretches)
        assert all(one[1] < other[0] for one, other in itertools.pairwise(stretches))


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


@pytest.mark.parametrize("country", ["GB", "US"])
def test_it_says_in_which_country_it_is(settings: object, country: str) -> None:
    settings.BUSINESS_COUNTRY = country  # type: ignore[attr-defined]  # pytest-django's
    told = json.loads(structured_data.business([], []))
    assert told["address"]["addressCountry"] == country
