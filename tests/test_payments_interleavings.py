"""Pay, webhook, expiry, cancel and rivals in every order and at once: money and slots agree on both sides."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.utils import timezone

from bookings import scheduling
from bookings.models import Booking, Payment, Status
from bookings.payments import checkout, settling, webhooks
from bookings.payments.stripe_api import StripeFault
from bookings.scheduling import By, deposits, errors, holds
from harness.peers.stripe import DECLINED_CARD, StripePeer
from tests import factories, payments

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
INTERLEAVINGS = [pytest.param(150, id="short"), pytest.param(2000, id="long", marks=pytest.mark.long)]
REFUSED = (errors.SchedulingError, StripeFault)


@pytest.fixture
def paying(settings: Any, stripe_peer: StripePeer) -> Iterator[StripePeer]:
    """Payments are on, and PostgreSQL does not wait for the disk."""
    for name, value in stripe_peer.environment.items():
        setattr(settings, name, value)
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" SET synchronous_commit = off')
    _fresh_connections()
    logging.disable(logging.INFO)  # what is logged is kept by pytest, at twice the cost of the work itself
    yield stripe_peer
    logging.disable(logging.NOTSET)
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" RESET synchronous_commit')
    _fresh_connections()


def _fresh_connections() -> None:
    connection.close()
    cast(DatabaseWrapper, connection).close_pool()


class Story:
    """Two customers want the same hour; everything that can happen to them, in any order."""

    def __init__(self, peer: StripePeer, number: int, chance: random.Random) -> None:
        self.peer, self.number, self.chance = peer, number, chance
        self.service = payments.service()
        self.handyman = factories.handyman(self.service)
        if chance.random() < 0.2:  # somebody who can come instead
            factories.handyman(self.service)
        self.at = factories.tomorrow(10, days=5)
        self.staff = User.objects.get()
        self.done: Counter[str] = Counter()
        self.bookings = [payments.hold(self.service, handyman=self.handyman, starts_at=self.at)]

    def steps(self) -> list[list[Callable[[], None]]]:
        """The plot whose turn it is, step by step; beside some steps, something else at the same moment."""
        plots = (
            [self.start, self.pay, self.tell, self.work],
            [self.start, self.pay, self.tell, self.work, self.cancel, self.work],
            [self.start, self.pay, self.tell, self.work, self.staff_refunds],
            [self.start, self.pay, self.cancel, self.tell],
            [self.start, self.pay, self.expire, self.tell, self.work],
            [self.start, self.pay, self.rival, self.tell, self.work],
            [self.start, self.expire, self.pay, self.rival, self.work],
        )
        beside = [
            self.start, self.pay, self.decline, self.tell, self.tell, self.work, self.expire, self.cancel, self.rival,
            self.look, self.lose_an_answer, self.staff_refunds,
        ]  # fmt: skip
        plot = plots[self.number % len(plots)]
        if self.chance.random() < 0.2:
            plot = self.chance.sample(plot, k=len(plot))
        return [[step, self.chance.choice(beside)] if self.chance.random() < 0.35 else [step] for step in plot]

    def booking(self) -> Booking:
        """Mostly the first customer's."""
        chosen = self.chance.choice([self.bookings[0], self.bookings[0], *self.bookings])
        return Booking.objects.select_related("service").get(pk=chosen.pk)

    def start(self) -> None:
        checkout.start(booking=self.booking())

    def pay(self) -> None:
        self._pay()

    def decline(self) -> None:
        assert not self._pay(DECLINED_CARD)

    def _pay(self, *card: str) -> bool:
        url = Payment.objects.get(booking=self.booking()).session_url
        return bool(url) and self.peer.pay(url, *card)

    def tell(self) -> None:
        """Two events of Stripe's so far, whichever: late, again, the later one first."""
        events = self.peer.ledger()["event"]
        for event in self.chance.choices(events, k=2) if events else ():
            webhooks.receive(*self.peer.signed(event))

    def work(self) -> None:
        payments.work()

    def look(self) -> None:
        settling.settle(Payment.objects.get(booking=self.booking()).pk)

    def expire(self) -> None:
        holds.release_expired(now=timezone.now() + payments.AFTER_THE_HOLD)

    def cancel(self) -> None:
        scheduling.cancel(booking=self.booking(), by=By.CUSTOMER)

    def rival(self) -> None:
        """Somebody else, half an hour later, wants the hour."""
        later = timezone.now() + payments.AFTER_THE_HOLD
        self.bookings.append(payments.hold(self.service, handyman=self.handyman, starts_at=self.at, now=later))

    def lose_an_answer(self) -> None:
        self.peer.fail("lose", times=1)

    def staff_refunds(self) -> None:
        deposits.refund(payment=Payment.objects.get(booking=self.booking()), user=self.staff)

    def run(self, at_once: ThreadPoolExecutor) -> None:
        for steps in self.steps():
            self.done.update(at_once.map(_attempt, steps))

    def end(self) -> Counter[str]:
        """Let the time pass and all that is under way arrive; then look into the books."""
        self.peer.recover()
        events = self.peer.ledger()["event"]
        self.chance.shuffle(events)
        for event in events[: self.chance.randrange(len(events) + 1)]:  # some never come
            webhooks.receive(*self.peer.signed(event))
        holds.release_expired(now=timezone.now() + timedelta(hours=2))
        for _ in range(20):
            if not payments.work():
                left = deposits.unsettled(timezone.now() + timedelta(hours=1))
                if not left:
                    break
                for payment_id in left:
                    settling.settle(payment_id)
        bookings = Booking.objects.filter(pk__in=[booking.pk for booking in self.bookings])
        return payments.audit(self.peer.ledger(), bookings)


def _attempt(step: Callable[[], None]) -> str:
    """Do it, if it can be done now."""
    try:
        step()
    except REFUSED:
        return f"{step.__name__} refused"
    finally:
        connections.close_all()
    return step.__name__


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("interleavings", INTERLEAVINGS)
def test_it_keeps_money_and_slots_consistent_in_any_order(paying: StripePeer, interleavings: int) -> None:
    User.objects.create_user("office")
    seed = random.randrange(10**6)
    ends, done = Counter[str](), Counter[str]()
    wanted = {
        "confirmed paid", "cancelled closed", "cancelled refunded cancelled", "cancelled refunded late",
        "confirmed refunded staff",
    }  # fmt: skip
    with ThreadPoolExecutor(2) as at_once:
        for number in range(3 * interleavings):
            if number >= interleavings and wanted <= ends.keys():
                break
            story = Story(paying, number, random.Random(seed + number))
            story.run(at_once)
            try:
                ends += story.end()
            except AssertionError as error:
                error.add_note(f"seed {seed + number}, plot {number}: {dict(story.done)}")
                raise
            done += story.done
            paying.forget()
    print(f"\nends {dict(ends)}\nsteps {dict(done)}")
    assert wanted <= ends.keys(), ends
    assert Booking.objects.exclude(status__in=(Status.CONFIRMED, Status.CANCELLED)).count() == 0
