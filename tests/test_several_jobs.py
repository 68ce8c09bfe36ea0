"""Several jobs in one visit: what they cost and how long they take, and that one handyman has the time for all."""

from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings import scheduling
from bookings.basket import Basket
from bookings.models import Booking, BookingLine, Pricing, Service
from bookings.phrases import lasts, price
from bookings.scheduling import By
from bookings.slots.rules import Calendar, Diary, Job, Rules, Shift, free_slots
from bookings.slots.week import week
from tests import factories, payments

MINUTE = timedelta(minutes=1)
AT = {"days": 5}


@st.composite
def catalogues(draw: st.DrawFn) -> list[tuple[Service, int]]:
    """Up to six services, each with how often it is wanted."""
    chosen = []
    for number in range(draw(st.integers(1, 6))):
        pricing = draw(st.sampled_from(Pricing))
        pence = 0 if pricing == Pricing.QUOTE else draw(st.integers(100, 30_000))
        service = Service(
            pk=number + 1,
            slug=f"job-{number}",
            name=f"Job {number}",
            pricing=pricing,
            price_pence=pence,
            minimum_minutes=draw(st.integers(0, 240)) if pricing == Pricing.HOURLY else 0,
            duration_minutes=draw(st.integers(15, 300)),
            buffer_minutes=draw(st.integers(0, 90)),
            deposit_pence=draw(st.sampled_from((0, 100, pence))) if pence else 0,
        )
        chosen.append((service, draw(st.integers(1, 9))))
    return chosen


def basket_of(chosen: list[tuple[Service, int]]) -> Basket:
    return Basket(tuple(BookingLine.of(service, quantity) for service, quantity in chosen))


@settings(max_examples=150)
@given(catalogues())
def test_a_basket_adds_up_like_the_same_jobs_one_by_one(chosen: list[tuple[Service, int]]) -> None:
    """The oracle takes every single job by itself, in exact fractions; an hourly line is rounded once."""
    basket = basket_of(chosen)
    single = [service for service, quantity in chosen for _ in range(quantity)]
    assert basket.duration == sum((timedelta(minutes=each.duration_minutes) for each in single), timedelta())
    assert basket.buffer == max(timedelta(minutes=each.buffer_minutes) for each in single)
    exact: dict[int, Fraction] = {}
    for each in single:
        hours = Fraction(each.minimum_minutes, 60) if each.pricing == Pricing.HOURLY else 1
        exact[each.pk] = exact.get(each.pk, Fraction()) + each.price_pence * hours
    assert basket.total.least == sum(ceil(pence) for pence in exact.values())
    assert basket.total.has_quote == any(each.pricing == Pricing.QUOTE for each in single)
    assert basket.total.is_fixed == all(each.pricing != Pricing.HOURLY for each in single)


@settings(max_examples=150)
@given(catalogues())
def test_what_a_basket_showed_can_be_read_again(chosen: list[tuple[Service, int]]) -> None:
    basket = basket_of(chosen)
    was = Basket.as_offered(basket.offer)
    assert was
    assert (was.total, was.duration, was.deposit) == (basket.total, basket.duration, basket.deposit)
    assert Basket.as_offered(basket.offer + "~x") is None
    for number, (service, quantity) in enumerate(chosen):
        other = [*chosen]
        other[number] = (service, quantity % 9 + 1)
        assert basket_of(other).offer != basket.offer


ZONES = ("Europe/London", "America/New_York", "Australia/Lord_Howe")
CHANGES = ((2026, 3, 29), (2026, 3, 8), (2026, 10, 4), (2026, 4, 5))


@settings(max_examples=60)
@given(
    catalogues(), st.sampled_from(ZONES), st.sampled_from(((2026, 3, 29), (2026, 3, 8), (2026, 10, 4), (2026, 4, 5)))
)
def test_a_window_has_room_for_all_jobs_in_real_minutes(
    chosen: list[tuple[Service, int]], zone: str, day: tuple[int, int, int]
) -> None:
    """Also where the clocks change within the visit: the end is the start and the minutes of every job, by UTC."""
    basket, local = basket_of(chosen), ZoneInfo(zone)
    midnight = datetime(*day, tzinfo=local)
    closes = midnight.replace(hour=20).astimezone(UTC)
    shifts = [Shift(midnight.weekday(), time(0), time(20))]
    slots = free_slots(
        Diary([Calendar(1, shifts)]),
        rules=Rules(zone=local, notice=timedelta()),
        job=Job(basket.duration, basket.buffer),
        first=midnight.date(),
        last=midnight.date(),
        now=midnight.astimezone(UTC) - timedelta(days=1),
    )
    minutes = sum(service.duration_minutes * quantity for service, quantity in chosen)
    window = timedelta(hours=1)
    assert all(slot.arrival_until + minutes * MINUTE <= closes for slot in slots)
    opens, after = midnight.astimezone(UTC), max(window, basket.buffer)
    assert bool(slots) == (opens + after + minutes * MINUTE <= closes)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ([("fixed", 8500, 0, 3)], "£255 fixed price"),
        ([("hourly", 6000, 120, 3)], "£360 for the first 6 hours, then £30 per half hour"),
        ([("fixed", 8500, 0, 1), ("fixed", 7500, 0, 2)], "£235 fixed price"),
        ([("fixed", 8500, 0, 1), ("hourly", 6000, 90, 1)], "from £175"),
        ([("fixed", 8500, 0, 1), ("quote", 0, 0, 1)], "£85 fixed price and a free quote"),
        ([("quote", 0, 0, 1), ("quote", 0, 0, 1)], "Free quote first"),
        ([("hourly", 6000, 0, 1), ("hourly", 5000, 0, 1)], "by the hour"),
    ],
)
def test_a_price_of_several_jobs_says_what_is_certain(chosen: list[Any], says: str) -> None:
    lines = [
        BookingLine.of(Service(name="Job", pricing=pricing, price_pence=pence, minimum_minutes=least), quantity)
        for pricing, pence, least, quantity in chosen
    ]
    assert price(Basket(tuple(lines))) == says


@pytest.fixture
def jobs(db: None) -> Basket:
    """Three doors at £60 each and a tap at £85: four hours and a half, with one buffer."""
    doors = factories.service(slug="doors", name="Door repair", duration_minutes=60, buffer_minutes=30)
    tap = factories.service(slug="tap", name="Tap repair", duration_minutes=90, buffer_minutes=45, price_pence=8500)
    factories.handyman(doors, name="Doors only")
    factories.handyman(doors, tap, name="Both")
    return Basket.read(doors, ["doors:3", "tap:1"])


def book(basket: Basket | Service, hour: int = 9, **asked: Any) -> Booking:
    defaults: dict[str, Any] = {"customer": factories.customer(), "idempotency_key": str(id(asked))}
    return scheduling.book(service=basket, starts_at=factories.tomorrow(hour, **AT), **defaults | asked)


def test_it_books_all_jobs_in_one_visit_of_somebody_who_does_all(jobs: Basket) -> None:
    booking = Booking.objects.with_jobs().get(pk=book(jobs).pk)
    assert booking.handyman.name == "Both"
    assert (booking.duration, booking.buffer) == (270 * MINUTE, 45 * MINUTE)
    assert booking.what == "3 × Door repair, Tap repair"
    assert booking.title == "3 × Door repair and 1 more job"
    assert price(booking) == "£265 fixed price"
    assert lasts(booking) == "4½ hours"
    assert [(job.minutes, price(job)) for job in booking.jobs] == [(180, "£180 fixed price"), (90, "£85 fixed price")]
    with pytest.raises(scheduling.SlotTaken):
        book(jobs, 11)
    assert book(jobs.service, 11).handyman.name == "Doors only"


def test_it_keeps_jobs_prices_and_time_when_moved(jobs: Basket) -> None:
    booking = book(jobs)
    Service.objects.update(price_pence=99_00, duration_minutes=30, buffer_minutes=0)
    booking = Booking.objects.with_jobs().get(pk=booking.pk)
    scheduling.move(booking=booking, starts_at=factories.tomorrow(10, **AT), by=By.CUSTOMER)
    moved = Booking.objects.with_jobs().get(pk=booking.pk)
    assert (moved.duration, moved.buffer, price(moved)) == (270 * MINUTE, 45 * MINUTE, "£265 fixed price")
    assert moved.handyman.name == "Both"


def test_a_line_stands_or_falls_with_its_booking(jobs: Basket, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("bookings.messaging.outbox.after_booking", fail)
    with pytest.raises(RuntimeError):
        book(jobs)
    assert not BookingLine.objects.exists()
    assert not Booking.objects.exists()


def test_the_same_form_with_other_jobs_asks(jobs: Basket) -> None:
    who: dict[str, Any] = {"customer": factories.customer(), "idempotency_key": "form"}
    booking = book(jobs, **who)
    assert book(jobs, **who) == booking
    for other in (jobs.service, Basket.read(jobs.service, ["doors:2", "tap:1"])):
        with pytest.raises(scheduling.AlreadyBooked):
            book(other, 14, instead=True, **who)
    moved = book(jobs, 12, instead=True, **who)
    assert (moved.pk, moved.starts_at) == (booking.pk, factories.tomorrow(12, **AT))
    assert Booking.objects.count() == 1
    assert BookingLine.objects.count() == 1


def test_a_deposit_is_the_sum_of_the_jobs(db: None, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test"
    tap, tv = payments.service(), payments.service(deposit_pence=1500)
    factories.handyman(tap, tv)
    held = payments.hold(Basket.read(tap, [f"{tap.slug}:2", f"{tv.slug}:1"]))  # type: ignore[arg-type]
    assert held.payment.amount_pence == 2 * payments.DEPOSIT + 1500


def test_an_address_that_asks_for_too_much_is_read_as_far_as_it_can_be(jobs: Basket) -> None:
    doors = jobs.service
    more = [factories.service() for _ in range(7)]
    everything = Basket.read(doors, [f"{each.slug}:1" for each in more])
    assert (len(everything.jobs), everything.incomplete) == (6, True)
    for nonsense in ("tap", "tap:10", "tap:-1", "tap:x", "gone:1", "\x00", "tap:1:1"):
        basket = Basket.read(doors, [nonsense])
        assert (basket.content, basket.incomplete) == ([(doors.pk, 1)], True), nonsense
    for nothing in ([], [""], ["tap:0"], ["doors:1", "tap:0", ""]):
        basket = Basket.read(doors, nothing)
        assert (basket.content, basket.incomplete, basket.query) == ([(doors.pk, 1)], False, "")
    Service.objects.filter(pk=doors.pk).update(price_pence=900_000_000)
    doors.refresh_from_db()
    assert Basket.read(doors, ["doors:9"]).content == [(doors.pk, 1)]
    assert jobs.query == "&job=doors:3&job=tap:1"


def test_the_database_refuses_a_line_of_no_work(jobs: Basket) -> None:
    booking = book(jobs)
    for wrong in ({"position": 1, "minutes": 60}, {"position": 2, "minutes": 0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            BookingLine.objects.create(booking=booking, service=jobs.service, price_pence=1, **wrong)


def test_a_week_for_several_jobs_asks_no_more_than_for_one(jobs: Basket, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(4):
        found = week(service=jobs, now=timezone.now())
    assert any(day.slots for day in found.days)
