"""Customers far apart, all at once: whatever they book, move, correct and are offered, every journey can be made."""

import random
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from bookings import postcodes, scheduling
from bookings.models import OCCUPYING, Booking, Postcode, WaitlistOffer
from bookings.scheduling import By, corrections, offers, proofs, waitlist
from bookings.slots import calendars
from bookings.slots.travel import Place
from tests import factories
from tests.test_scheduling_races import THREADS, InThreads, overlaps
from tests.test_scheduling_races import in_threads as in_threads
from tests.test_waitlist import at
from tests.test_waitlist_races import offers_at_any_time as offers_at_any_time
from tests.test_waitlist_races import wait
from tests.walked_windows import at_the_door

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
ADDRESSES = ("SE15 4QL", "NW1 7RP", "E17 9ZZ", "NW7 1AQ", "SE15 9ZZ")
"""Across London; the last is not known, and gets the buffer instead of a way."""
MINUTE = timedelta(minutes=1)


def impossible_journeys() -> list[tuple[Booking, Booking]]:
    """Pairs of one handyman's visits that follow each other sooner than a walk by the minute gets there."""
    travel, found, last = calendars.travel(), [], defaultdict[int, list[Booking]](list)
    place = {row.code: Place(row.latitude, row.longitude) for row in Postcode.objects.filter(code__in=ADDRESSES)}
    for booking in Booking.objects.filter(status__in=OCCUPYING).order_by("during"):
        last[booking.handyman_id].append(booking)
    for visits in last.values():
        for before, after in pairwise(visits):
            if before.postcode in place and after.postcode in place:
                one, other = (place[before.postcode],), (place[after.postcode],)
                if at_the_door(before.ends_at, one, other, travel) - after.planned_at >= MINUTE:
                    found.append((before, after))
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "operations", [pytest.param(240, id="short"), pytest.param(2000, id="long", marks=pytest.mark.long)]
)
def test_every_journey_can_be_made(
    in_threads: InThreads,
    operations: int,
    offers_at_any_time: None,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    monkeypatch.setattr(proofs, "MOST_CHANGES", operations)
    settings.BOOKING_HORIZON_DAYS = 5
    postcodes.keep(postcodes.demo())
    service = factories.service(buffer_minutes=30)
    people = [factories.handyman(service, start_postcode=ADDRESSES[0], end_postcode=ADDRESSES[0]) for _ in range(2)]
    seed = random.randrange(10**6)

    def operate(number: int) -> tuple[dict[int, tuple[Any, str] | None], Counter[str]]:
        """When and where this thread's own bookings are to be (None: cancelled), and how often what was done."""
        chance, mine, done = random.Random(seed + number), dict[int, tuple[Any, str] | None](), Counter[str]()
        for step in range(operations // THREADS):
            starts_at, address = at(chance.randrange(8, 16), days=chance.randrange(2, 5)), chance.choice(ADDRESSES)
            own = Booking.objects.get(pk=chance.choice(list(mine))) if mine else None
            action = chance.choice(("book", "book", "move", "cancel", "undo", "correct", "wait", "look", "take"))
            try:
                if action == "book":
                    own = scheduling.book(
                        service=service,
                        starts_at=starts_at,
                        customer=factories.customer(postcode=address),
                        handyman=chance.choice([None, *people]),
                        idempotency_key=f"{number}-{step}",
                    )
                elif action == "move" and own:
                    own = scheduling.move(booking=own, starts_at=starts_at, by=By.CUSTOMER)
                elif action == "cancel" and own:
                    own = scheduling.cancel(booking=own, by=By.STAFF)
                elif action == "undo" and own:
                    own = scheduling.undo(booking=own)
                elif action == "correct" and own:
                    own = corrections.correct(booking=own, details={"postcode": address}, by=By.CUSTOMER)
                elif action == "wait":
                    wait(service, at(days=5).date(), f"{number}-{step}", postcode=address)
                elif action == "look":
                    done["offered"] += offers.offer_free_time()
                elif action == "take":
                    offer = WaitlistOffer.objects.filter(outcome="open").select_related("entry").order_by("?").first()
                    if offer:
                        waitlist.take(offer=offer)
                if own and action in ("book", "move", "cancel", "undo", "correct"):
                    mine[own.pk] = (own.starts_at, own.postcode) if own.is_open else None
                done[action] += 1
            except scheduling.SchedulingError as refusal:
                done[refusal.code] += 1
        return mine, done

    answers = in_threads(operate, THREADS)
    counted = sum((done for _, done in answers), Counter[str]())
    assert overlaps() == 0, seed
    assert impossible_journeys() == [], seed
    for mine, _ in answers:
        for pk, wanted in mine.items():
            booking = Booking.objects.get(pk=pk)
            assert ((booking.starts_at, booking.postcode) if booking.is_open else None) == wanted, seed
    assert {"book", "move", "cancel", "correct", "offered", "travel"} <= set(+counted), counted


def test_an_impossible_journey_would_be_found() -> None:
    postcodes.keep(postcodes.demo())
    service = factories.service(buffer_minutes=0)
    person = factories.handyman(service)
    for hour, address in ((9, ADDRESSES[0]), (10, ADDRESSES[1])):
        factories.booking(service=service, handyman=person, starts_at=factories.tomorrow(hour), postcode=address)
    assert len(impossible_journeys()) == 1
