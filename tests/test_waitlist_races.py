"""Customers, staff and those who wait, all at once: no overlap, every offer to one, every acknowledged answer there."""

import random
from collections import Counter
from datetime import date, time
from typing import Any

import pytest

from bookings import scheduling
from bookings.models import Booking, Service, Status, WaitlistEntry, WaitlistOffer
from bookings.scheduling import By, holds, offers, waitlist
from tests import factories
from tests.test_scheduling_races import THREADS, InThreads, overlaps
from tests.test_scheduling_races import in_threads as in_threads
from tests.test_waitlist import ANY, at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


@pytest.fixture
def offers_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """To everybody, however often."""
    monkeypatch.setattr(offers, "AWAKE", (time(0), time.max))
    monkeypatch.setattr(offers, "MOST_A_DAY", 1000)


def wait(service: Service, last_day: date, key: str, **customer: str) -> None:
    """Somebody joins the waiting list, and confirms it."""
    entry = waitlist.join(
        service=service,
        customer=factories.customer(**customer),
        suits=ANY,
        last_day=last_day,
        idempotency_key=key,
    )
    assert entry
    waitlist.confirm(entry=entry)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "operations", [pytest.param(120, id="short"), pytest.param(2000, id="long", marks=pytest.mark.long)]
)
def test_nothing_is_double_under_random_operations(
    in_threads: InThreads, operations: int, offers_at_any_time: None, settings: Any
) -> None:
    settings.BOOKING_HORIZON_DAYS = 6
    service = factories.service()
    for _ in range(2):
        factories.handyman(service, start=time(8), end=time(15))
    seed = random.randrange(10**6)

    def operate(number: int) -> tuple[dict[int, Any], Counter[str]]:
        """What this thread's own bookings are to start at (None: cancelled), and how often what was done."""
        chance, mine, done = random.Random(seed + number), dict[int, Any](), Counter[str]()
        for step in range(operations // THREADS):
            starts_at = at(chance.randrange(8, 14), days=chance.randrange(2, 6))
            own = Booking.objects.get(pk=chance.choice(list(mine))) if mine else None
            action = chance.choice(("book", "book", "cancel", "wait", "wait with", "look", "take", "decline", "expire"))
            try:
                if action == "book":
                    booking = scheduling.book(
                        service=service,
                        starts_at=starts_at,
                        customer=factories.customer(),
                        idempotency_key=f"{number}-{step}",
                    )
                    mine[booking.pk] = booking.starts_at
                elif action == "cancel" and own:
                    scheduling.cancel(booking=own, by=By.STAFF)
                    mine[own.pk] = None
                elif action == "wait":
                    wait(service, at(days=6).date(), f"{number}-{step}")
                elif action == "wait with" and own:
                    waitlist.confirm(
                        entry=waitlist.join_with(booking=own, suits=ANY, idempotency_key=f"{number}-{step}")
                    )
                elif action == "look":
                    done["offered"] += offers.offer_free_time()
                elif action in ("take", "decline"):
                    # Anybody's offer: several threads answer the same one.
                    offer = WaitlistOffer.objects.filter(outcome="open").select_related("entry").order_by("?").first()
                    if offer and action == "take":
                        waitlist.take(offer=offer)
                    elif offer:
                        waitlist.decline(offer=offer)
                elif action == "expire" and chance.random() < 0.2:
                    Booking.objects.filter(status=Status.HELD).update(hold_expires_at=factories.tomorrow(days=-1))
                    holds.release_expired()
                done[action] += 1
            except scheduling.SchedulingError as refusal:
                done[refusal.code] += 1
        return mine, done

    answers = in_threads(operate, THREADS)
    counted = sum((done for _, done in answers), Counter[str]())
    assert counted["offered"], counted
    waitlist.close_lapsed(factories.tomorrow(days=-1))
    assert overlaps() == 0, seed
    for mine, _ in answers:
        for pk, start in mine.items():
            booking = Booking.objects.get(pk=pk)
            assert (booking.status == Status.CANCELLED) == (start is None), seed
            moved = WaitlistEntry.objects.filter(booking=booking, ended="booked").exists()
            assert start is None or booking.starts_at == start or (moved and booking.starts_at < start), seed
    open_holds = set(WaitlistOffer.objects.filter(outcome="open").values_list("hold", flat=True))
    assert open_holds == set(Booking.objects.filter(status=Status.HELD).values_list("pk", flat=True)), seed
    for offer in WaitlistOffer.objects.filter(outcome="taken").select_related("entry__booking", "hold"):
        assert offer.entry.ended == "booked", seed
        assert offer.hold, seed
        assert offer.hold.starts_at == offer.starts_at, seed
        assert offer.entry.offers.filter(outcome="taken").count() == 1, seed
    ended = WaitlistEntry.objects.filter(ended="booked").count()
    assert ended == WaitlistOffer.objects.filter(outcome="taken").count(), seed
