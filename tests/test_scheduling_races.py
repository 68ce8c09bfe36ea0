"""Many people at once, from threads, against the real database: the exclusion constraint keeps its word."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections

from bookings import scheduling
from bookings.basket import Basket
from bookings.models import OCCUPYING, Booking, BookingEvent, Service, Status
from bookings.scheduling import By, proofs
from bookings.scheduling.errors import DoesNotFit, NotPossible
from tests import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
THREADS = 8
InThreads = Callable[[Callable[[int], Any], int], list[Any]]


@pytest.fixture
def in_threads() -> Iterator[InThreads]:
    """Run a function of a number in as many threads, all at the same moment, and return what they returned.

    Each thread has a database connection of its own, outside the pool, whose size is another matter.
    """
    pool_options = connection.settings_dict["OPTIONS"].pop("pool", None)
    connection.close()

    def run(work: Callable[[int], Any], threads: int) -> list[Any]:
        gate = Barrier(threads)

        def one(number: int) -> Any:
            gate.wait(10)
            try:
                return work(number)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(threads) as executor:
            return list(executor.map(one, range(threads)))

    yield run
    connection.close()
    if pool_options is not None:
        connection.settings_dict["OPTIONS"]["pool"] = pool_options


def overlaps() -> int:
    """Pairs of bookings that keep one handyman busy at the same time, counted without the constraint's help."""
    pairs = 0
    last: dict[int, Booking] = {}
    for booking in Booking.objects.filter(status__in=OCCUPYING).order_by("during"):
        before = last.get(booking.handyman_id)
        pairs += before is not None and before.during.upper > booking.during.lower
        last[booking.handyman_id] = booking
    return pairs


def test_it_gives_one_slot_to_one_of_twenty(in_threads: InThreads) -> None:
    service = factories.service()
    factories.handyman(service)
    for round_ in range(5):
        at = factories.tomorrow(9, days=3 + round_)

        def book(number: int, at: datetime = at) -> object:
            try:
                return scheduling.book(
                    service=service,
                    starts_at=at,
                    customer=factories.customer(),
                    idempotency_key=f"{at}-{number}",
                )
            except scheduling.SlotTaken as refusal:
                return refusal

        answers = in_threads(book, 20)
        assert Counter(type(answer) for answer in answers) == {Booking: 1, scheduling.SlotTaken: 19}
        assert all(answer.alternatives for answer in answers if isinstance(answer, scheduling.SlotTaken))


def test_it_gives_a_wide_window_to_as_many_as_it_can_keep(in_threads: InThreads, settings: Any) -> None:
    """Each of them is planned for another time within it, an hour before it closes at the latest."""
    settings.ARRIVAL_WINDOW_MINUTES = 240
    service = factories.service(duration_minutes=60, buffer_minutes=30)
    factories.handyman(service)
    at = factories.tomorrow(9, days=3)

    def book(number: int) -> object:
        try:
            return scheduling.book(
                service=service, starts_at=at, customer=factories.customer(), idempotency_key=str(number)
            )
        except scheduling.SlotTaken as refusal:
            return refusal

    answers = in_threads(book, 12)
    assert Counter(type(answer) for answer in answers) == {Booking: 3, scheduling.SlotTaken: 9}
    planned = sorted(booking.planned_at for booking in Booking.objects.all())
    assert planned == [at + timedelta(minutes=minutes) for minutes in (0, 90, 180)]
    assert {booking.arrival_until for booking in Booking.objects.all()} == {at + timedelta(hours=4)}
    assert overlaps() == 0


def test_it_gives_twenty_posts_of_one_form_the_same_booking(in_threads: InThreads) -> None:
    service = factories.service()
    for _ in range(3):
        factories.handyman(service)
    at, who = factories.tomorrow(9), factories.customer()
    answers = in_threads(
        lambda _: scheduling.book(service=service, starts_at=at, customer=who, idempotency_key="form"), 20
    )
    assert len(set(answers)) == Booking.objects.count() == 1


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "operations", [pytest.param(800, id="short"), pytest.param(10_000, id="long", marks=pytest.mark.long)]
)
def test_it_stays_right_under_random_operations(
    in_threads: InThreads, operations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every booking that was acknowledged stands as it was last acknowledged; nobody is in two places."""
    monkeypatch.setattr(proofs, "MOST_CHANGES", operations)
    services = [factories.service(duration_minutes=minutes) for minutes in (60, 120)]
    one, other = services
    wanted: list[Service | Basket] = [one, other, Basket.read(one, [f"{one.slug}:2", f"{other.slug}:1"])]
    people = [factories.handyman(*services) for _ in range(3)]
    seed = random.randrange(10**6)

    def operate(number: int) -> tuple[dict[int, Booking], Counter[str]]:
        """Its own bookings alone, so that what was acknowledged last is known without asking."""
        chance = random.Random(seed + number)
        mine: dict[int, Booking] = {}
        counted: Counter[str] = Counter()
        for step in range(operations // THREADS):
            at = factories.tomorrow(chance.randrange(8, 17), days=chance.randrange(3, 10))
            action = chance.choice(("book", "book", "move", "cancel", "add")) if mine else "book"
            booking = mine[chance.choice(list(mine))] if action != "book" else None
            try:
                if booking is None:
                    booking = scheduling.book(
                        service=chance.choice(wanted),
                        starts_at=at,
                        customer=factories.customer(),
                        handyman=chance.choice([None, *people]),
                        idempotency_key=f"{number}-{step}",
                    )
                    mine[booking.pk] = booking
                elif action == "move":
                    mine[booking.pk] = scheduling.move(booking=booking, starts_at=at, by=By.CUSTOMER)
                elif action == "add":
                    mine[booking.pk] = scheduling.add_job(
                        booking=booking, service=chance.choice(services), position=len(booking.jobs), by=By.CUSTOMER
                    )
                else:
                    scheduling.cancel(booking=mine.pop(booking.pk), by=By.CUSTOMER)
                counted[action] += 1
            except (scheduling.SlotUnavailable, DoesNotFit, NotPossible):
                counted["refused"] += 1
        return mine, counted

    answers = in_threads(operate, THREADS)
    acknowledged: dict[int, Booking] = {}
    for mine, _ in answers:
        acknowledged |= mine
    standing = {booking.pk: booking for booking in Booking.objects.filter(status=Status.CONFIRMED)}
    assert overlaps() == 0, f"seed {seed}"
    assert standing.keys() == acknowledged.keys(), f"seed {seed}"
    for pk, booking in acknowledged.items():
        told, stands = (
            (each.handyman_id, each.starts_at, each.sequence, each.content) for each in (booking, standing[pk])
        )
        assert stands == told, f"seed {seed}"
        minutes = sum(job.service.duration_minutes * job.quantity for job in standing[pk].jobs)
        assert standing[pk].duration == timedelta(minutes=minutes), f"seed {seed}"
    counted = sum((counted for _, counted in answers), Counter[str]())
    assert sum(counted.values()) == operations
    assert min(counted[action] for action in ("book", "move", "cancel", "add", "refused")) > operations / 100, counted
    assert BookingEvent.objects.count() >= Booking.objects.count()
