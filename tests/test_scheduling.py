"""Booking, moving, cancelling: what is granted, what is refused and why, and what is written down."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings import events, scheduling
from bookings.messaging import contact
from bookings.models import Booking, ContactMessage, Holiday, ServiceArea, Status, TimeOff
from bookings.scheduling import By
from bookings.slots import assignment, calendars
from bookings.slots.rules import Reason, Slot
from bookings.slots.week import week
from tests import factories
from tests.scheduled import KEY, book, jobs

pytestmark = pytest.mark.django_db


def test_it_books_and_writes_down_what_happened(
    heard: list[events.Event], django_capture_on_commit_callbacks: Any
) -> None:
    service = factories.service(duration_minutes=90, buffer_minutes=30, price_pence=7000)
    handyman = factories.handyman(service)
    at = factories.tomorrow(9, days=3)
    with django_capture_on_commit_callbacks(execute=True):
        booking = book(service=service, starts_at=at)
    booking.refresh_from_db()
    assert (booking.status, booking.handyman, booking.price_pence) == (Status.CONFIRMED, handyman, 7000)
    assert (booking.starts_at, booking.ends_at) == (at, at + timedelta(minutes=90))
    assert booking.arrival_until == at + timedelta(minutes=60)
    assert (booking.during.lower, booking.during.upper) == (at, at + timedelta(minutes=120))
    assert [(e.kind, e.by) for e in booking.events.all()] == [("created", "customer")]
    assert heard == [events.BookingCreated(booking_id=booking.pk, service=service.slug, by="customer")]
    assert jobs() == ["send_booking_email"]


def test_it_gives_the_same_booking_for_the_same_form() -> None:
    service = factories.service()
    factories.handyman(service), factories.handyman(service)
    form = {"service": service, "starts_at": factories.tomorrow(9), "customer": factories.customer()}
    assert book(**form) == book(**form)
    assert Booking.objects.count() == 1
    assert jobs().count("send_booking_email") == 1


def test_it_asks_about_the_same_form_with_another_slot() -> None:
    service = factories.service()
    factories.handyman(service)
    first, who = book(service=service, starts_at=factories.tomorrow(9)), factories.customer()
    with pytest.raises(scheduling.AlreadyBooked) as refusal:
        book(service=service, starts_at=factories.tomorrow(14), customer=who)
    assert refusal.value.booking == first
    assert book(service=service, starts_at=factories.tomorrow(14), customer=who, instead=True) == first
    assert Booking.objects.get().starts_at == factories.tomorrow(14)


def test_it_takes_the_least_loaded_then_the_other_then_refuses(heard: list[events.Event]) -> None:
    service = factories.service()
    busy, idle = factories.handyman(service), factories.handyman(service)
    factories.booking(service=service, handyman=busy, starts_at=factories.tomorrow(14))
    at = factories.tomorrow(9)
    assert book(service=service, starts_at=at, idempotency_key="a").handyman == idle
    assert book(service=service, starts_at=at, idempotency_key="b").handyman == busy
    with pytest.raises(scheduling.SlotTaken) as refusal:
        book(service=service, starts_at=at, idempotency_key="c")
    assert refusal.value.alternatives
    assert all(slot.starts_at != at for slot in refusal.value.alternatives)
    assert heard[-1] == events.BookingRejected(service=service.slug, action="book", reason="taken")


def test_it_falls_through_to_another_handyman_who_is_still_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before is out of date: as if another request had won in between."""
    service = factories.service()
    first, second = factories.handyman(service), factories.handyman(service)
    at = factories.tomorrow(9)
    factories.booking(service=service, handyman=first, starts_at=at)
    stale, find_slot = Slot(at, at + timedelta(hours=1), (first.pk, second.pk), (at, at)), calendars.Reader.find_slot

    def late(reader: calendars.Reader, starts_at: datetime) -> Slot | Reason:
        found = find_slot(reader, starts_at)
        return found if reader.before else stale

    monkeypatch.setattr(assignment, "in_turn", lambda handyman_ids, *_: list(handyman_ids))
    monkeypatch.setattr(calendars.Reader, "find_slot", late)
    assert book(service=service, starts_at=at).handyman == second
    with pytest.raises(scheduling.SlotTaken):
        book(service=service, starts_at=at, idempotency_key="another")


def test_it_falls_through_when_only_the_constraint_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the second look finds the slot free, as it did for a row that no lock protects."""
    service = factories.service()
    first, second = factories.handyman(service), factories.handyman(service)
    at = factories.tomorrow(9)
    factories.booking(service=service, handyman=first, starts_at=at)
    stale, find_slot = Slot(at, at + timedelta(hours=1), (first.pk, second.pk), (at, at)), calendars.Reader.find_slot
    monkeypatch.setattr(assignment, "in_turn", lambda handyman_ids, *_: list(handyman_ids))
    monkeypatch.setattr(calendars.Reader, "find_slot", lambda *asked: find_slot(*asked) and stale)
    assert book(service=service, starts_at=at).handyman == second
    with pytest.raises(scheduling.SlotTaken):
        book(service=service, starts_at=at, idempotency_key="another")


def test_it_draws_another_reference_when_the_first_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    service = factories.service()
    person = factories.handyman(service)
    factories.booking(service=service, handyman=person, starts_at=factories.tomorrow(9), reference="A" * 8)
    drawn = iter("A" * 8 + "B" * 8)
    monkeypatch.setattr("bookings.models.booking.secrets.choice", lambda _alphabet: next(drawn))
    assert book(service=service, starts_at=factories.tomorrow(12)).reference == "B" * 8


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (datetime(2026, 6, 10, 9, 10, tzinfo=UTC), Reason.OFF_GRID),
        (datetime(2026, 6, 10, 22, tzinfo=UTC), Reason.CLOSED),
        (datetime(2026, 6, 9, 7, tzinfo=UTC), Reason.PAST),
        (datetime(2026, 6, 9, 9, tzinfo=UTC), Reason.NOTICE),
        (datetime(2026, 12, 9, 9, tzinfo=UTC), Reason.HORIZON),
        (datetime(2026, 6, 11, 9, tzinfo=UTC), Reason.CLOSED),
        (datetime(2026, 6, 12, 9, tzinfo=UTC), Reason.CLOSED),
    ],
)
def test_it_refuses_with_a_reason_and_alternatives(at: datetime, reason: Reason) -> None:
    now = datetime(2026, 6, 9, 8, tzinfo=UTC)
    service = factories.service()
    handyman = factories.handyman(service)
    Holiday.objects.create(date=date(2026, 6, 11), name="Feast")
    TimeOff.objects.create(
        handyman=handyman,
        starts_at=datetime(2026, 6, 12, 6, tzinfo=UTC),
        ends_at=datetime(2026, 6, 12, 20, tzinfo=UTC),
    )
    with pytest.raises(scheduling.SlotUnavailable) as refusal:
        book(service=service, starts_at=at, now=now)
    assert refusal.value.reason is reason
    assert len(refusal.value.alternatives) == 6


def test_it_keeps_the_buffer_after_a_job() -> None:
    service = factories.service(duration_minutes=60, buffer_minutes=60)
    factories.handyman(service)
    book(service=service, starts_at=factories.tomorrow(9), idempotency_key="a")
    with pytest.raises(scheduling.SlotTaken):
        book(service=service, starts_at=factories.tomorrow(10), idempotency_key="b")
    book(service=service, starts_at=factories.tomorrow(11), idempotency_key="c")


@pytest.mark.parametrize(
    ("postcode", "covered"),
    [
        ("SE1 2AB", True),
        ("se12ab", True),
        ("SE15 4QL", False),
        ("SW1A 1AA", True),
        ("E1 6AN", True),
        ("EC1A 1BB", False),
    ],
)
def test_it_comes_only_to_its_service_area(postcode: str, covered: bool) -> None:
    ServiceArea.objects.bulk_create(ServiceArea(prefix=prefix) for prefix in ("SE1", "SW1", "E"))
    assert ServiceArea.objects.covers(postcode) is covered


def test_it_refuses_a_postcode_outside_but_lets_staff_decide() -> None:
    ServiceArea.objects.create(prefix="N")
    service = factories.service()
    factories.handyman(service)
    with pytest.raises(scheduling.OutOfArea):
        book(service=service, starts_at=factories.tomorrow(9))
    assert book(service=service, starts_at=factories.tomorrow(9), by=By.STAFF).status == Status.CONFIRMED


def test_it_moves_with_the_same_handyman_even_onto_its_own_time() -> None:
    service = factories.service(duration_minutes=120)
    handyman = factories.handyman(service)
    booking = book(service=service, starts_at=factories.tomorrow(9, days=3))
    at = factories.tomorrow(10, days=3)
    moved = scheduling.move(booking=booking, starts_at=at, by=By.CUSTOMER)
    assert (moved.starts_at, moved.handyman, moved.sequence) == (at, handyman, 1)
    again = scheduling.move(booking=moved, starts_at=at, by=By.CUSTOMER)
    stale_form = scheduling.move(booking=booking, starts_at=at, by=By.CUSTOMER)
    assert again.sequence == stale_form.sequence == 1
    assert [event.kind for event in moved.events.all()] == ["created", "moved"]


def test_it_lets_customers_change_until_the_deadline_and_staff_after_it() -> None:
    service = factories.service()
    factories.handyman(service)
    booking = book(service=service, starts_at=factories.tomorrow(9))
    late = booking.change_deadline + timedelta(seconds=1)
    with pytest.raises(scheduling.TooLate):
        scheduling.cancel(booking=booking, by=By.CUSTOMER, now=late)
    with pytest.raises(scheduling.TooLate):
        scheduling.move(booking=booking, starts_at=factories.tomorrow(9, days=5), by=By.CUSTOMER, now=late)
    assert scheduling.cancel(booking=booking, by=By.STAFF, now=late).status == Status.CANCELLED
    with pytest.raises(scheduling.NotPossible):
        scheduling.move(booking=booking, starts_at=factories.tomorrow(9, days=5), by=By.STAFF)


def test_it_cancels_once_and_frees_the_slot() -> None:
    service = factories.service()
    factories.handyman(service)
    at = factories.tomorrow(9)
    booking = book(service=service, starts_at=at)
    for _ in range(2):
        cancelled = scheduling.cancel(booking=booking, by=By.CUSTOMER)
    assert [event.kind for event in cancelled.events.all()] == ["created", "cancelled"]
    assert book(service=service, starts_at=at, idempotency_key="next").status == Status.CONFIRMED


def test_it_keeps_a_message_once_and_tells_staff() -> None:
    message: dict[str, Any] = {
        "name": "Jo",
        "email": "jo@example.com",
        "phone": "",
        "topic": ContactMessage.Topic.QUOTE,
        "body": "How much?",
        "idempotency_key": KEY,
    }
    assert contact.receive(**message) == contact.receive(**message)
    assert jobs() == ["send_message_to_staff"]


def test_it_survives_a_listener_that_fails(django_capture_on_commit_callbacks: Any) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("observer")

    events.occurred.connect(fail)
    try:
        service = factories.service()
        factories.handyman(service)
        with django_capture_on_commit_callbacks(execute=True):
            assert book(service=service, starts_at=factories.tomorrow(9)).pk
    finally:
        events.occurred.disconnect(fail)


@pytest.mark.parametrize("bookings", [10, 1000])
def test_it_reads_a_month_of_everybody_in_four_queries(bookings: int) -> None:
    service = factories.service(duration_minutes=15, buffer_minutes=0)
    people = [factories.handyman(service, start=time(0), end=time(0)) for _ in range(4)]
    first = factories.tomorrow(0)
    Booking.objects.bulk_create(
        factories.unsaved_booking(
            service=service,
            handyman=people[n % 4],
            starts_at=first + timedelta(days=n // 4 % 30, hours=n // 120 * 2),
        )
        for n in range(bookings)
    )
    with CaptureQueriesContext(
        connection,
    ) as queries:
        month = calendars.free_slots(service=service, first=first.date(), last=first.date() + timedelta(days=29))
    assert month
    assert len(queries) <= 4


def test_it_finds_the_next_free_slot_of_a_fully_booked_handyman_elsewhere() -> None:
    service = factories.service(duration_minutes=540, buffer_minutes=0)
    full, free = factories.handyman(service), factories.handyman(service)
    TimeOff.objects.create(
        handyman=full, starts_at=timezone.now() - timedelta(days=1), ends_at=timezone.now() + timedelta(days=90)
    )
    assert calendars.next_slots(service=service, handyman=full) == []
    nearest = calendars.nearest_slots(service=service, handyman=full, starts_at=factories.tomorrow(9))
    assert {slot.handyman_ids for slot in nearest} == {(free.pk,)}


def test_it_knows_in_four_queries_that_a_handyman_is_fully_booked() -> None:
    service = factories.service(duration_minutes=60, buffer_minutes=0)
    full = factories.handyman(service, start=time(9), end=time(11))
    Booking.objects.bulk_create(
        factories.unsaved_booking(service=service, handyman=full, starts_at=factories.tomorrow(9, days=n))
        for n in range(62)
        if n != 40
    )
    free, now = factories.tomorrow(9, days=40), timezone.now()
    with CaptureQueriesContext(connection) as queries:
        shown = week(service=service, handyman=full, now=now)
    assert shown.next_free is not None
    assert shown.next_free.starts_at == free
    assert shown.selected.slots == [shown.next_free]
    assert len(queries) <= 4
    with CaptureQueriesContext(connection) as queries:
        assert calendars.next_slots(service=service, handyman=full, now=now) == [shown.next_free]
    assert len(queries) <= 4
