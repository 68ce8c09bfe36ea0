"""A quote accepted, withdrawn, replaced, booked and erased at once: whoever comes second reads what has happened."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from bookings.models import Booking, ContactMessage, Quote, Service, VisitPhoto
from bookings.personal_data import erasure
from bookings.scheduling import quotes
from bookings.slots.calendars import midnight
from bookings.views import quotes as quotes_pages
from tests import factories, forms
from tests.quoting import accept, details, page
from tests.test_scheduling_races import InThreads
from tests.test_scheduling_races import in_threads as in_threads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
ROUNDS = 3
Post = Callable[[], Any]
WAITS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def fence() -> Service:
    made = factories.service(slug="fence", name="Fence", pricing="quote", price_pence=0)
    for _ in range(2):
        factories.handyman(made)
    return made


@pytest.fixture
def office() -> Client:
    client = Client()
    client.force_login(factories.clerk())
    return client


def quoted(fence: Service, **fields: Any) -> Quote:
    asked = ContactMessage.objects.create(
        name="Robin", email="robin@example.com", phone="07700 900200", body="A fence?"
    )
    return Quote.objects.with_lines().get(pk=factories.quote(asked, fence, **fields).pk)


def at_once(in_threads: InThreads, *posts: Post) -> list[Any]:
    """What each of them was answered, posted at the same moment by connections of their own."""
    return list(in_threads(lambda number: posts[number](), len(posts)))


def posting(address: str, form: Any = None) -> Post:
    return lambda: Client().post(address, form)


def accepting(quote: Quote) -> Post:
    return posting(quote.get_absolute_url())


def withdrawing(office: Client, quote: Quote) -> Post:
    shown = forms.posted(office.get(page(quote.message)).content, withdraw_quote="1")
    return lambda: office.post(page(quote.message), shown)


def replacing(office: Client, quote: Quote) -> Post:
    fence = str(quote.lines.get().service_id)
    typed = {"quote_job_1": fence, "quote_price_1": "90", "quote_minutes_1": "60", "send_quote": "1"}
    shown = forms.posted(office.get(page(quote.message)).content, **typed)
    return lambda: office.post(page(quote.message), shown)


@contextmanager
def uncommitted(act: Callable[[], object]) -> Iterator[Event]:
    """Another connection has done this and not committed it before the event is set, at the latest in ten seconds."""
    done, let_go = Event(), Event()

    def work() -> None:
        with closing(), transaction.atomic():
            act()
            done.set()
            let_go.wait(10)

    with ThreadPoolExecutor(1) as executor:
        held = executor.submit(work)
        assert done.wait(10)
        yield let_go
        let_go.set()
        held.result()


@contextmanager
def closing() -> Iterator[None]:
    try:
        yield
    finally:
        connections.close_all()


def until_it_waits() -> None:
    """Until a connection waits for a lock, asked of PostgreSQL."""
    deadline, waiting = time.monotonic() + 10, 0
    while not waiting:
        assert time.monotonic() < deadline, "nothing has waited for the lock"
        with connection.cursor() as cursor:
            cursor.execute(WAITS)
            (waiting,) = cursor.fetchone()


def test_two_who_accept_and_book_at_once_make_one_visit_and_read_the_same(
    in_threads: InThreads, fence: Service
) -> None:
    for number in range(ROUNDS):
        quote = quoted(fence)
        answers = at_once(in_threads, accepting(quote), accepting(quote))
        assert {(each.status_code, each.headers["Location"]) for each in answers} == {(302, accept(Client(), quote))}, (
            "both are led to the windows"
        )
        address, form = details(Client(), quote, hour=9 + number)
        answers = at_once(in_threads, *[posting(address, form)] * 2)
        assert [each.status_code for each in answers] == [302, 302]
        (booking,) = Booking.objects.filter(quote=quote)
        assert len({each.headers["Location"] for each in answers}) == 1, "both read the same page"
        assert (booking.total.least, booking.photos.count()) == (14000, 0)
    assert Booking.objects.count() == ROUNDS


def test_two_windows_of_one_quote_at_once_make_one_visit(in_threads: InThreads, fence: Service) -> None:
    for number in range(ROUNDS):
        quote = quoted(fence)
        forms_ = [details(Client(), quote, hour=hour) for hour in (8 + number, 12 + number)]
        answers = at_once(in_threads, *(posting(*each) for each in forms_))
        assert Counter(each.status_code for each in answers) == {302: 1, 409: 1}
        (lost,) = (each.content.decode() for each in answers if each.status_code == 409)
        assert "With this quote you have already booked" in lost
        assert Booking.objects.filter(quote=quote).count() == 1
    assert Booking.objects.count() == ROUNDS


@pytest.mark.parametrize(
    ("act", "says"), [(withdrawing, "We had to take this quote back"), (replacing, "There is a newer quote for you")]
)
@pytest.mark.parametrize("step", ["accept", "book"])
def test_a_customer_and_staff_at_once_do_one_thing(
    in_threads: InThreads, fence: Service, office: Client, act: Callable[[Client, Quote], Post], says: str, step: str
) -> None:
    """Either the customer was first, and staff are shown what changed; or staff were, and the customer reads why."""
    for number in range(ROUNDS):
        quote = quoted(fence)
        if step == "accept":
            asks = accepting(quote)
        else:
            address, form = details(Client(), quote, hour=9 + number)
            asks = posting(address, form)
        customer, staff = at_once(in_threads, asks, act(office, quote))
        first = Quote.objects.with_lines().get(pk=quote.pk)
        if customer.status_code == 302:
            assert "The quote below has changed meanwhile" in staff.content.decode()
            assert first.state == (Quote.State.ACCEPTED if step == "accept" else Quote.State.BOOKED)
            assert Quote.objects.filter(message=quote.message_id).count() == 1
            assert step == "accept" or Booking.objects.get(quote=quote).total.least == 14000, "as the customer saw it"
        else:
            assert (customer.status_code, staff.status_code) == (409, 302)
            assert says in customer.content.decode()
            assert first.withdrawn_at is not None
            assert not Booking.objects.filter(quote__message=quote.message_id).exists()
            assert (first.accepted_at is None) == (step == "accept")
    assert VisitPhoto.objects.count() == 0


@pytest.mark.parametrize(("asked", "status"), [(-1, 302), (1, 409)])
def test_who_accepts_before_midnight_has_accepted_however_long_it_takes(
    in_threads: InThreads, fence: Service, monkeypatch: pytest.MonkeyPatch, asked: int, status: int
) -> None:
    """Staff have the message locked over midnight, the end of the quote's last day."""
    today = timezone.localdate()
    over, quote = midnight(today + timedelta(days=1)), quoted(fence, valid_until=today)
    clock = [over + timedelta(seconds=asked)]
    monkeypatch.setattr(timezone, "now", lambda: clock[0])
    lock = ContactMessage.objects.select_for_update()
    with uncommitted(lambda: lock.get(pk=quote.message_id)) as let_go, ThreadPoolExecutor(1) as executor:
        answer = executor.submit(answered, accepting(quote))
        until_it_waits()
        clock[0] = over + timedelta(minutes=1)
        let_go.set()
    assert answer.result().status_code == status
    quote.refresh_from_db()
    assert (quote.accepted_at is not None) == (status == 302)
    assert status == 302 or "This quote has expired" in answer.result().content.decode()


def test_who_accepts_while_their_data_is_erased_reads_that_the_quote_is_gone(
    in_threads: InThreads, fence: Service
) -> None:
    quote = quoted(fence)
    with uncommitted(lambda: erasure.erase("robin@example.com")) as let_go, ThreadPoolExecutor(1) as executor:
        answer = executor.submit(answered, accepting(quote))
        until_it_waits()
        let_go.set()
    assert answer.result().status_code == 404
    assert "does not open a quote" in answer.result().content.decode()


def test_a_quote_that_is_withdrawn_between_two_looks_of_one_request_says_so(
    in_threads: InThreads, fence: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote = quoted(fence)
    address, form = details(Client(), quote)
    looks = quotes_pages.basket

    def withdrawn_before(token: str) -> Any:
        at_once(in_threads, lambda: quotes.withdraw(quote=quote))
        return looks(token)

    monkeypatch.setattr(quotes_pages, "basket", withdrawn_before)
    answer = Client().post(address, form)
    assert (answer.status_code, "We had to take this quote back" in answer.content.decode()) == (409, True)
    assert not Booking.objects.exists()


def answered(post: Post) -> Any:
    with closing():
        return post()
