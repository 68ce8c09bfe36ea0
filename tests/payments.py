"""Deposits in tests: a business that asks for one, its background work done by hand, and the auditor of both books."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling
from bookings.models import OCCUPYING, Booking, BookingEvent, Handyman, Payment, Service, Status
from bookings.payments import checkout, settling
from bookings.payments.stripe_api import StripeFault
from bookings.scheduling import deposits
from harness.peers.stripe import StripePeer
from tests import factories

DEPOSIT = 2000
Kind = BookingEvent.Kind
Books = dict[str, list[dict[str, Any]]]


def service(**fields: Any) -> Service:
    """One that asks for a deposit of £20."""
    return factories.service(**{"deposit_pence": DEPOSIT} | fields)


def hold(service: Service, *, handyman: Handyman | None = None, **asked: Any) -> Booking:
    """A visit whose deposit is still to be paid."""
    defaults: dict[str, Any] = {
        "starts_at": factories.tomorrow(10, days=5),
        "customer": factories.customer(),
        "idempotency_key": os.urandom(8).hex(),
        "expires_in": deposits.hold_time(),
    }
    return scheduling.hold(service=service, handyman=handyman, **defaults | asked)


def paid(peer: StripePeer, booking: Booking) -> Booking:
    """The customer pays, and Stripe is asked about it."""
    assert peer.pay(checkout.start(booking=booking))
    settling.settle(booking.payment.pk)
    return again(booking)


def again(booking: Booking) -> Booking:
    """The booking as it is now."""
    return Booking.objects.select_related("service", "handyman", "payment").get(pk=booking.pk)


def work() -> int:
    """Do the settling that is queued; what Stripe does not answer stays in the queue. Returns how many were tried."""
    done = 0
    for job in ProcrastinateJob.objects.filter(task_name="settle_payment", status="todo").order_by("id"):
        with connection.cursor() as cursor:  # whoever gets the row does the work
            cursor.execute("DELETE FROM procrastinate_jobs WHERE id = %s AND status = 'todo' RETURNING args", [job.pk])
            taken = cursor.fetchone()
        if taken is None:
            continue
        arguments = taken[0] if isinstance(taken[0], dict) else json.loads(taken[0])
        try:
            settling.settle(arguments["payment_id"])
        except StripeFault:
            payment = Payment.objects.get(pk=arguments["payment_id"])
            deposits.settle_soon(payment)
        done += 1
    return done


def kinds(booking: Booking) -> list[str]:
    """What happened to a booking, in order."""
    return list(booking.events.values_list("kind", flat=True))


def audit(books: Books, bookings: Iterable[Booking]) -> Counter[str]:
    """Compare Stripe's books with ours, once nothing is under way. Counts the ends it came to.

    Raises AssertionError for money without a visit, a visit without its money, money taken twice or given back twice,
    a slot given to two, or a status that is not true.
    """
    charged: dict[str, int] = Counter()
    refunded: dict[str, int] = Counter()
    charges = {charge["id"]: charge for charge in books["charge"] if charge["status"] == "succeeded"}
    for charge in charges.values():
        charged[charge["payment_intent"]] += charge["amount"]
    for refund in books["refund"]:
        refunded[charges[refund["charge"]]["payment_intent"]] += refund["amount"]
    sessions = {session["id"]: session for session in books["checkout.session"]}
    asked = Counter(session["client_reference_id"] for session in sessions.values())
    assert all(times == 1 for times in asked.values()), "a booking that can be paid on two pages"
    accounted: set[str] = set()
    ends: Counter[str] = Counter()
    all_bookings = list(bookings)
    for booking in all_bookings:
        payment = Payment.objects.get(booking=booking)
        happened = kinds(booking)
        session = sessions.get(payment.session_id or "")
        intent = (session or {}).get("payment_intent") or ""
        paid, back = charged.get(intent, 0), refunded.get(intent, 0)
        accounted.add(intent)
        at = f"booking {booking.pk} ({booking.status}), payment {payment.status}, {happened}, {paid} paid, {back} back"

        assert paid in (0, payment.amount_pence), at
        assert back in (0, paid), at
        assert payment.intent_id in (None, intent), at
        assert booking.status in (Status.CONFIRMED, Status.CANCELLED), at
        truth = {
            Payment.Status.CLOSED: paid == 0 and (session is None or session["status"] == "expired"),
            Payment.Status.PAID: paid > 0 and back == 0,
            Payment.Status.REFUNDED: paid > 0 and back == paid,
        }
        assert truth.get(Payment.Status(payment.status)), at
        if payment.refund_reason != Payment.Reason.STAFF:  # who may give back whatever becomes of the visit
            assert (booking.status == Status.CONFIRMED) == (paid > back), at
        for kind in (Kind.HELD, Kind.CHECKOUT, Kind.PAID, Kind.REFUNDED, Kind.CONFIRMED, Kind.REINSTATED):
            assert happened.count(kind) <= 1, at
        assert (Kind.PAID in happened) == (paid > 0), at
        assert (Kind.REFUNDED in happened) == (back > 0) == (Kind.REFUNDING in happened), at
        if payment.refund_reason == Payment.Reason.LATE:  # nobody loses a time that nobody else has taken
            assert any(rival.pk != booking.pk and _overlap(rival, booking) for rival in all_bookings), at
            assert Kind.CANCELLED not in happened, at
        ends[f"{booking.status} {payment.status} {payment.refund_reason}".strip()] += 1
    assert charged.keys() <= accounted, "money that belongs to no booking"
    standing = [booking for booking in all_bookings if booking.status in OCCUPYING]
    for one in standing:
        assert not any(one.pk < other.pk and _overlap(one, other) for other in standing), "two visits at once"
    return ends


def _overlap(one: Booking, other: Booking) -> bool:
    same = one.handyman_id == other.handyman_id
    return same and one.during.lower < other.during.upper and other.during.lower < one.during.upper


AFTER_THE_HOLD = timedelta(minutes=32)
