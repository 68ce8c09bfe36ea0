"""First in line: time that comes free is offered to those who wait, in their turn, one at a time, and never twice."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import events, scheduling
from bookings.models import Booking, Service, Status, TimeOff, WaitlistEntry, WaitlistOffer
from bookings.personal_data import archive, erasure
from bookings.scheduling import By, holds, offers, waitlist, waitlist_tasks
from bookings.slots.matching import Preference, first_fit
from bookings.slots.rules import Slot
from tests import factories
from tests.forms import posted
from tests.test_offers import WHO

ROBIN = WHO["customer_email"]
ANY = waitlist.Suits(weekdays=list(range(7)), not_before=time(0), not_after=time(23, 59))


def at(hour: int = 9, *, days: int = 3) -> datetime:
    return factories.tomorrow(hour, days=days)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers may be written to at any hour."""
    monkeypatch.setattr(offers, "AWAKE", (time(0), time.max))


@pytest.fixture
def service(db: None, noon: None, settings: LazySettings) -> Service:
    """One handyman, who works one hour a day: one window each day."""
    settings.BOOKING_HORIZON_DAYS = 6
    service = factories.service(name="Tap repair", buffer_minutes=0)
    zone, day = ZoneInfo(settings.BUSINESS_TIME_ZONE), at()
    start = day.astimezone(zone).time()
    end = (day + timedelta(hours=2)).astimezone(zone).time()
    factories.handyman(service, name="Grace", start=start, end=end)
    return service


def booked(service: Service, days: int, **who: Any) -> Booking:
    return scheduling.book(
        service=service, starts_at=at(days=days), customer=factories.customer(**who), idempotency_key=str(days)
    )


def full(service: Service) -> list[Booking]:
    """Visits in every window that can be booked; those from tomorrow on."""
    if at(days=0) > timezone.now() + timedelta(hours=4, minutes=1):
        booked(service, 0)
    return [booked(service, days) for days in range(1, 7)]


def stranger(service: Service, number: int = 0, *, confirm: bool = True, **options: Any) -> WaitlistEntry:
    entry = waitlist.join(
        service=service,
        customer=factories.customer(),
        suits=options.pop("suits", ANY),
        last_day=at(days=6).date(),
        idempotency_key=f"line {number}",
        **options,
    )
    assert entry is not None
    return waitlist.confirm(entry=entry) if confirm else entry


def test_one_client_has_few_invented_addresses_written_to(client: Client, service: Service) -> None:
    link, answers = f"/book/{service.slug}/earlier/", list[int]()
    for number in range(8):
        who = WHO | {"customer_email": f"invented{number}@example.com"}
        answer = client.post(link, posted(client.get(link).content, **who))
        answers.append(answer.status_code)
    assert answers == [302] * 6 + [429] * 2
    assert "invented7@example.com" in answer.content.decode(), "what was typed is kept"
    assert WaitlistEntry.objects.count() == 6


def test_an_address_that_does_not_answer_is_written_to_a_few_times(service: Service) -> None:
    visit = booked(service, 5)
    for number in range(6):
        try:
            waitlist.join_with(booking=visit, suits=ANY, idempotency_key=f"visit {number}")
        except scheduling.TooManyUnproven:
            continue
    assert WaitlistEntry.objects.filter(booking=visit).count() == waitlist.MOST_UNCONFIRMED
    for number in range(6):
        entry = waitlist.join(
            service=service,
            customer=factories.customer(customer_email="victim@example.com"),
            suits=ANY,
            last_day=at(days=6).date(),
            idempotency_key=f"stranger {number}",
        )
        if entry is not None:
            waitlist.leave(entry=entry)
    assert WaitlistEntry.objects.filter(customer_email="victim@example.com").count() == waitlist.MOST_UNCONFIRMED


def deliver(mailoutbox: list[EmailMessage]) -> str:
    """Send what is queued for those who wait; the text of the last e-mail."""
    for name, args in ProcrastinateJob.objects.order_by("id").values_list("task_name", "args"):
        if name in ("send_waitlist_email", "send_waitlist_offer"):
            getattr(waitlist_tasks, name)(**{key: value for key, value in args.items() if not key.startswith("_")})
    return str(mailoutbox[-1].body)


def link_in(text: str) -> str:
    found = re.search(r"/waitlist/\S+/", text)
    assert found
    return found[0]


def looks_again() -> bool:
    return ProcrastinateJob.objects.filter(task_name="offer_free_time").exists()


def test_a_stranger_waits_is_offered_a_cancelled_time_and_books_it(
    client: Client, service: Service, mailoutbox: list[EmailMessage]
) -> None:
    visits = full(service)
    page = client.get(f"/book/{service.slug}/")
    link = f"/book/{service.slug}/earlier/"
    assert link in page.content.decode()
    last_day = str(at(days=5).date())
    known = posted(client.get(f"{link}?day={last_day}&postcode=se154ql").content)
    assert (known["last_day"], known["postcode"]) == ([last_day], ["SE15 4QL"])
    form = posted(client.get(link).content, **WHO, last_day=str(at(days=6).date()))
    form["weekdays"] = [str(day) for day in range(7)]
    for _ in range(2):
        assert client.post(link, form)["Location"] == "/waitlist/thanks/"
    entry = WaitlistEntry.objects.get()
    own = link_in(deliver(mailoutbox))
    assert "Put me in line" in client.get(own).content.decode()
    assert offers.offer_free_time() == 0, "nobody is offered anything before the address is proved"
    client.post(own, {"action": "confirm"})
    scheduling.cancel(booking=visits[2], by=By.STAFF)
    assert looks_again()
    assert offers.offer_free_time() == 1
    assert offers.offer_free_time() == 0
    assert "We keep it for you until" in deliver(mailoutbox)
    with pytest.raises(scheduling.SlotTaken):
        booked(service, 3, customer_email="other@example.com")
    shown = client.get(own)
    assert Booking.objects.get(status=Status.HELD).starts_at == visits[2].starts_at, "GET takes nothing"
    answer = posted(shown.content, action="take")
    done = client.post(own, answer, follow=True)
    assert "Booked. See you" in done.content.decode()
    made = Booking.objects.get(customer_email=ROBIN)
    assert (made.status, made.starts_at) == (Status.CONFIRMED, visits[2].starts_at)
    assert client.post(own, answer, follow=True).status_code == 200, "the same press twice is one booking"
    assert Booking.objects.filter(customer_email=ROBIN).count() == 1
    entry.refresh_from_db()
    assert entry.ended == WaitlistEntry.End.BOOKED


def test_a_booked_visit_moves_in_one_step(client: Client, service: Service, mailoutbox: list[EmailMessage]) -> None:
    visits = full(service)
    mine = visits[-1]
    Booking.objects.filter(pk=mine.pk).update(proven_at=timezone.now())
    link = f"{mine.get_absolute_url()}earlier/"
    assert link in client.get(mine.get_absolute_url()).content.decode()
    form = posted(client.get(link).content)
    assert client.post(link, form)["Location"].endswith("?done=earlier")
    own = link_in(deliver(mailoutbox))
    scheduling.cancel(booking=visits[1], by=By.STAFF)
    offers.offer_free_time()
    assert "moves there" in deliver(mailoutbox)
    done = client.post(own, posted(client.get(own).content, action="take"), follow=True)
    assert "Moved." in done.content.decode()
    mine.refresh_from_db()
    assert mine.starts_at == visits[1].starts_at
    assert not Booking.objects.filter(status=Status.HELD).exists()
    assert looks_again(), "the place that it left is free for the next in line"


def test_those_who_fit_are_asked_in_turn(service: Service) -> None:
    visits = full(service)
    other_day = waitlist.Suits(weekdays=[at(days=4).weekday()], not_before=time(0), not_after=time(23, 59))
    unfit, first, second = stranger(service, 1, suits=other_day), stranger(service, 2), stranger(service, 3)
    scheduling.cancel(booking=visits[2], by=By.STAFF)
    offers.offer_free_time()
    offer = WaitlistOffer.objects.get()
    assert offer.entry == first
    waitlist.decline(offer=offer)
    offers.offer_free_time()
    assert [each.entry for each in WaitlistOffer.objects.all()] == [first, second]
    holds.release_expired(now=timezone.now() + timedelta(hours=1))
    offers.offer_free_time()
    assert set(WaitlistOffer.objects.values_list("outcome", flat=True)) == {"declined", "lapsed"}
    with pytest.raises(scheduling.SchedulingError):
        waitlist.take(offer=offer)
    assert not unfit.offers.exists()
    scheduling.cancel(booking=visits[3], by=By.STAFF)
    offers.offer_free_time()
    assert unfit.offers.exists(), "an earlier entry comes first where it fits"


@pytest.mark.parametrize("frees", ["time off", "hours"])
def test_time_that_staff_give_back_is_found(service: Service, frees: str) -> None:
    full(service)
    grace = service.handymen.get()
    begins = at(days=5)
    if frees == "time off":
        off = TimeOff.objects.create(handyman=grace, starts_at=begins, ends_at=begins + timedelta(hours=3))
        Booking.objects.filter(starts_at=begins).delete()
    stranger(service)
    assert offers.offer_free_time() == 0
    if frees == "time off":
        off.delete()
    else:
        grace.working_hours.update(start=time(5))
    assert offers.offer_free_time() == 1


def test_nobody_is_written_to_often_or_at_night(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for visit in full(service):
        scheduling.cancel(booking=visit, by=By.STAFF)
    stranger(service)
    for _ in range(6):
        offers.offer_free_time()
        for offer in WaitlistOffer.objects.filter(outcome="open"):
            waitlist.decline(offer=offer)
    made = list(WaitlistOffer.objects.values_list("starts_at", flat=True))
    assert len(made) == len(set(made)) == offers.MOST_A_DAY
    stranger(service, 2)
    monkeypatch.setattr(offers, "AWAKE", (time(0), time(0)))
    assert offers.offer_free_time() == 0


def test_it_ends_by_itself_and_when_asked_to(client: Client, service: Service, heard: list[events.Event]) -> None:
    visits = full(service)
    mine = visits[-1]
    entries = [stranger(service), stranger(service, 2, confirm=False)]
    entries.append(waitlist.join_with(booking=mine, suits=ANY, idempotency_key="mine"))
    scheduling.cancel(booking=mine, by=By.CUSTOMER)
    WaitlistEntry.objects.filter(pk=entries[0].pk).update(last_day=date(2020, 1, 1))
    WaitlistEntry.objects.filter(pk=entries[1].pk).update(created_at=timezone.now() - timedelta(days=3))
    waitlist.end_stale(timezone.now())
    assert set(WaitlistEntry.objects.values_list("ended", flat=True)) == {"over"}
    leaving = stranger(service, 3)
    offers.offer_free_time()
    client.post(leaving.get_absolute_url(), {"action": "leave"})
    assert "You have left the line" in client.get(leaving.get_absolute_url()).content.decode()
    assert not Booking.objects.filter(status=Status.HELD).exists(), "what was kept for them is free again"


def test_who_asks_again_is_in_line_once(service: Service) -> None:
    mine = full(service)[-1]
    for number in range(2):
        waitlist.join_with(booking=mine, suits=ANY, idempotency_key=str(number))
    assert list(WaitlistEntry.objects.values_list("ended", flat=True)) == ["replaced", ""]


def test_an_address_is_not_flooded_with_questions(service: Service) -> None:
    who = factories.customer()
    made = [
        waitlist.join(
            service=service, customer=who, suits=ANY, last_day=at(days=6).date(), idempotency_key=f"flood {number}"
        )
        for number in range(9)
    ]
    assert [each is not None for each in made].count(True) == waitlist.MOST_UNCONFIRMED


def test_a_deposit_is_paid_before_an_offered_time_is_booked(
    client: Client, service: Service, settings: LazySettings
) -> None:
    service.deposit_pence = 2000
    service.save()
    visit = full(service)[2]
    settings.STRIPE_SECRET_KEY = "sk_test_waitlist"
    entry = stranger(service)
    scheduling.cancel(booking=visit, by=By.STAFF)
    offers.offer_free_time()
    held = waitlist.take(offer=WaitlistOffer.objects.get(entry=entry))
    assert (held.status, held.payment.amount_pence) == (Status.HELD, 2000)


@pytest.mark.parametrize("form", [{}, {"weekdays": ["9"]}, {"not_before": "15:00", "not_after": "09:00"}])
def test_what_cannot_be_meant_is_refused_and_kept(client: Client, service: Service, form: dict[str, Any]) -> None:
    answer = client.post(f"/book/{service.slug}/earlier/", {**WHO, "last_day": "nonsense", **form})
    assert answer.status_code == 422
    assert WHO["address"] in answer.content.decode()
    assert client.get("/waitlist/forged/").status_code == 404


def test_what_is_kept_of_those_who_wait_is_given_out_and_erased(service: Service, tmp_path: Any) -> None:
    entry = stranger(service)
    with (tmp_path / "out.zip").open("wb") as file:
        archive.write(entry.customer_email, file)
    offers.offer_free_time()
    erasure.erase(entry.customer_email.upper(), cancel=True)
    assert not WaitlistEntry.objects.exists()
    assert not WaitlistOffer.objects.exists()
    assert not Booking.objects.filter(customer_email=entry.customer_email).exists()
    assert not ProcrastinateJob.objects.filter(args__has_key="entry_id").exists()


def test_the_office_sees_who_waits(admin_client: Client, service: Service) -> None:
    entry = stranger(service)
    assert list(WaitlistEntry.objects.waiting()) == [entry]
    for page in ("/admin/bookings/waitlistentry/", f"/admin/bookings/waitlistentry/{entry.pk}/change/"):
        assert entry.customer_name in admin_client.get(page).content.decode()


instants = st.datetimes(datetime(2026, 3, 20), datetime(2026, 11, 10), timezones=st.just(UTC))
hours = st.integers(0, 23).map(time)


@bounded(max_examples=60)
@given(
    starts=st.lists(instants, max_size=8, unique=True),
    days=st.frozensets(st.integers(0, 6)),
    first=hours,
    last=hours,
    zone=st.sampled_from([ZoneInfo(name) for name in ("Europe/London", "America/New_York", "Australia/Lord_Howe")]),
    offered=st.integers(0, 3),
)
def test_the_first_fit_is_what_somebody_would_pick_by_hand(
    starts: list[datetime], days: frozenset[int], first: time, last: time, zone: ZoneInfo, offered: int
) -> None:
    starts.sort()
    slots = [Slot(start, start + timedelta(hours=1), (1,), (start,)) for start in starts]
    had = frozenset(starts[:offered])
    preference = Preference(
        last_day=date(2026, 10, 26), weekdays=days, not_before=first, not_after=last, offered=had, handyman_id=1
    )
    by_hand = []
    for slot in slots:
        opens, closes = (moment.astimezone(zone) for moment in (slot.starts_at, slot.arrival_until))
        right_day = opens.weekday() in days and f"{opens:%Y%m%d}" <= "20261026" and f"{closes:%d}" == f"{opens:%d}"
        right_hours = first.hour <= opens.hour and closes.time() <= last
        if right_day and right_hours and slot.starts_at not in had:
            by_hand.append(slot)
    assert first_fit(preference, slots, zone) == (by_hand[0] if by_hand else None)
