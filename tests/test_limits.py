"""Rate limits: the same for every worker, kept without addresses, never in the way of a booking by their own fault."""

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings import events
from bookings.models import Allowance, Booking, ContactMessage
from bookings.ratelimit import limits
from bookings.ratelimit.limits import Purpose
from bookings.ratelimit.rates import Limit, Rate
from harness.stack import Stack, manage
from tests import factories

StartStack = Callable[..., Stack]
ROBIN = {
    "customer_name": "Robin Example",
    "customer_email": "robin@example.com",
    "customer_phone": "07700 900200",
    "address": "1 Sample Street",
    "postcode": "SE1 7PB",
    "notes": "The <blue> door & the bell",
    "consent": "on",
    "key": "robins-first-try",
}
LETTER = {"topic": "question", "name": "Robin", "email": "robin@example.com", "body": "Is Tuesday <free> & dry?"}


def limit(client: str, everybody: str = "1000/d") -> Limit:
    return Limit.parse(f"{client} {everybody}")


def ask(rf: RequestFactory, purpose: Purpose = Purpose.CONTACT, address: str = "203.0.113.9") -> int:
    return limits.wait(rf.post("/", REMOTE_ADDR=address), purpose)


@pytest.mark.parametrize("text", ["", "60/h", "60 3000", "0/h 1/h", "60/y 3000/h", "60/h 3000/h 1/h", "-1/h 1/h"])
def test_it_refuses_a_limit_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="like"):
        Limit.parse(text)


def test_it_names_the_variable_that_cannot_be_read() -> None:
    with pytest.raises(AssertionError, match="RATE_LIMIT_LINK: 'often' is not two rates"):
        manage("check", env={**_environment(), "RATE_LIMIT_LINK": "often"})


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


@pytest.mark.django_db
def test_it_gives_each_client_its_own_and_all_of_them_one_together(
    rf: RequestFactory, limited: Callable[..., None]
) -> None:
    limited(Purpose.CONTACT, limit("3/d", "5/d"))
    assert [ask(rf, address="203.0.113.1") > 0 for _ in range(4)] == [False, False, False, True]
    assert [ask(rf, address="203.0.113.2") > 0 for _ in range(3)] == [False, False, True]
    assert ask(rf, address="203.0.113.3") > 0
    assert ask(rf, Purpose.BOOKING, address="203.0.113.1") == 0


@pytest.mark.django_db
def test_it_says_when_to_come_again_and_keeps_its_word(rf: RequestFactory, limited: Callable[..., None]) -> None:
    limited(Purpose.CONTACT, limit("4/h"))
    assert [ask(rf) for _ in range(4)] == [0, 0, 0, 0]
    wait = ask(rf)
    assert 600 <= wait <= 900, "a quarter of an hour for one of four"
    _pass(wait)
    assert ask(rf) == 0
    assert ask(rf) > 0
    _pass(10_000_000)
    assert [ask(rf) > 0 for _ in range(5)] == [False, False, False, False, True], "no more than a full allowance"


@pytest.mark.django_db
def test_it_forgives_what_was_written_before_the_clock_was_put_back(
    rf: RequestFactory, limited: Callable[..., None]
) -> None:
    limited(Purpose.CONTACT, limit("2/h"))
    assert [ask(rf) > 0 for _ in range(3)] == [False, False, True]
    _pass(-8000)
    assert [ask(rf) > 0 for _ in range(3)] == [False, False, True]


def _pass(seconds: float) -> None:
    """Let time go by, for the rows."""
    for row in Allowance.objects.all():
        Allowance.objects.filter(pk=row.pk).update(whole_at=row.whole_at - timedelta(seconds=seconds))


@pytest.mark.django_db
def test_it_takes_the_network_of_a_household_for_one_client(rf: RequestFactory, limited: Callable[..., None]) -> None:
    limited(Purpose.CONTACT, limit("1/d"))
    assert ask(rf, address="2001:db8:1:2::1") == 0
    assert ask(rf, address="2001:db8:1:2:ffff::9") > 0
    assert ask(rf, address="2001:db8:1:3::1") == 0
    assert ask(rf, address="") == 0, "a Unix socket has no address"


@pytest.mark.django_db
def test_it_keeps_no_address_and_forgets_even_the_hash(rf: RequestFactory) -> None:
    ask(rf, address="203.0.113.9")
    kept = Allowance.objects.get(key__startswith="contact:", key__regex="[0-9a-f]{40}$")
    assert "203.0.113" not in kept.key
    assert kept.whole_at - timezone.now() < timedelta(minutes=3)
    assert limits.forget_whole() == 0
    _pass(3600)
    assert limits.forget_whole() == 2
    assert not Allowance.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_it_lets_everybody_through_when_it_cannot_count(
    client: Client, limited: Callable[..., None], heard: list[events.Event]
) -> None:
    limited(Purpose.CONTACT, limit("1/d"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE bookings_allowance RENAME TO elsewhere")
    try:
        assert [client.post("/contact/", LETTER).status_code for _ in range(3)] == [302] * 3
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO bookings_allowance")
    assert heard[0] == events.LimitUnchecked(limit="contact", error="ProgrammingError")
    assert heard.count(events.LimitUnchecked(limit="contact", error="ProgrammingError")) == 3
    assert ContactMessage.objects.count() == 3


@pytest.mark.django_db
def test_it_keeps_what_was_typed_and_says_what_to_do(client: Client, limited: Callable[..., None]) -> None:
    limited(Purpose.CONTACT, limit("1/h"))
    limited(Purpose.BOOKING, limit("1/h"))
    service = factories.service()
    factories.handyman(service)
    details = f"/book/{service.slug}/details/"
    asked = {**ROBIN, "start": factories.tomorrow().isoformat(), "offer": service.offer}
    assert client.post("/contact/", LETTER).status_code == 302
    assert client.post(details, {**asked, "customer_email": "no address"}).status_code == 422
    for path, typed in (("/contact/", LETTER), (details, ROBIN)):
        answer = client.post(path, {**typed, "start": asked["start"]})
        page = answer.content.decode()
        assert answer.status_code == 429
        seconds = int(answer["Retry-After"])
        assert 3000 < seconds <= 3600
        assert f"Send it again in {-(-seconds // 60)} minutes" in page
        assert 'href="tel:+44-20-7946-0123"' in page
        assert "Everything you typed is still here" in page
        for value in typed.values():
            assert value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in page, value
    assert "checked" in page, "the consent"
    assert f'name="start" value="{factories.tomorrow():%Y-%m-%dT%H:%M}' in page
    assert ContactMessage.objects.count() == 1
    assert not Booking.objects.exists()
    _pass(3600)
    assert client.post(details, asked).status_code == 302
    assert Booking.objects.get().notes == ROBIN["notes"]


@pytest.mark.django_db
def test_it_slows_who_guesses_links_but_opens_the_right_one(client: Client, limited: Callable[..., None]) -> None:
    limited(Purpose.LINK, limit("3/h"))
    service = factories.service()
    booking = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())
    guesses = [client.get(f"/bookings/guess{number}/") for number in range(5)]
    assert [guess.status_code for guess in guesses] == [404, 404, 404, 429, 429]
    assert guesses[-1]["Retry-After"]
    assert "Ring 020 7946 0123" in guesses[-1].content.decode()
    assert client.get(booking.get_absolute_url()).status_code == 200
    assert client.get(f"/bookings/{booking.link_token}/calendar.ics").status_code == 200


@pytest.mark.django_db
def test_it_limits_changes_by_a_link(client: Client, limited: Callable[..., None]) -> None:
    limited(Purpose.BOOKING, limit("1/h"))
    service = factories.service()
    booking = factories.booking(
        service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(days=9)
    )
    link = booking.get_absolute_url()
    assert client.post(link, {"action": "move"}).status_code == 422
    refused = client.post(link, {"action": "cancel"})
    assert (refused.status_code, bool(refused["Retry-After"])) == (429, True)
    assert "That was a lot of changes at once" in refused.content.decode()
    booking.refresh_from_db()
    assert booking.is_open


@pytest.mark.django_db(transaction=True)
def test_it_does_not_wait_twice_for_a_database_that_is_not_there(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()

    def refuse() -> None:
        raise OperationalError("couldn't get a connection after 2.00 sec")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "connect", refuse)
        with pytest.raises(OperationalError, match="couldn't get a connection"):
            ask(rf)


@pytest.mark.django_db
def test_it_asks_the_database_once_for_ten_looks(client: Client, limited: Callable[..., None]) -> None:
    limited(Purpose.AVAILABILITY, limit("20/h"))
    limits._unpaid.clear()
    service = factories.service()
    factories.handyman(service)
    looks = [client.get(f"/api/availability?service={service.slug}") for _ in range(31)]
    assert Counter(look.status_code for look in looks) == {200: 29, 429: 2}
    assert looks[-1].json() == {"error": "too_many_requests"}
    assert looks[-1]["Retry-After"]
    page = client.get(f"/book/{service.slug}/")
    assert page.status_code == 429
    assert "That was a lot at once" in page.content.decode()
    details = f"/book/{service.slug}/details/"
    assert client.get(details, {"start": factories.tomorrow().isoformat()}).status_code == 429
    typed = client.post(details, {**ROBIN, "start": factories.tomorrow().isoformat(), "change": "1"})
    assert (typed.status_code, ROBIN["address"] in typed.content.decode()) == (429, True)
    assert client.get(f"/api/availability?service={service.slug}", REMOTE_ADDR="203.0.113.5").status_code == 200


@pytest.mark.django_db
def test_it_costs_a_post_one_statement_and_a_page_none(client: Client) -> None:
    limits._unpaid.clear()
    service = factories.service()
    booking = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())

    def statements(send: Callable[[], object]) -> int:
        with CaptureQueriesContext(connection) as queries:
            send()
        return sum("bookings_allowance" in query["sql"] for query in queries)

    pages = ("/", "/contact/", f"/book/{service.slug}/", booking.get_absolute_url())
    assert [statements(lambda page=page: client.get(page)) for page in pages] == [0, 0, 0, 0]  # type: ignore[misc]  # the page of now
    assert statements(lambda: client.post("/contact/", LETTER)) == 1
    refused = statements(lambda: client.post(f"/book/{service.slug}/details/", ROBIN))
    assert refused == 2, "what all clients share gets most of it back"
    assert statements(lambda: client.get("/bookings/guess/")) == 1


def test_it_holds_across_workers_and_clients_behind_a_proxy(stack: StartStack) -> None:
    site = stack(workers=3, env={"RATE_LIMIT_CONTACT": "7/d 12/d", "TRUSTED_PROXIES": "127.0.0.1"})
    cookie, token = _form(site)

    def write(number_and_client: tuple[int, str]) -> tuple[int, str]:
        number, address = number_and_client
        body = urlencode({**LETTER, "csrfmiddlewaretoken": token, "body": f"Letter {number}", "key": str(number)})
        headers = {"Cookie": cookie, "X-Forwarded-For": address, "Content-Type": "application/x-www-form-urlencoded"}
        answer = _send(site, "POST", "/contact/", body, headers)
        return answer.status, answer.getheader("Retry-After", "")

    with ThreadPoolExecutor(12) as clients:
        one = list(clients.map(write, [(number, "203.0.113.9") for number in range(40)]))
        many = list(clients.map(write, [(number + 40, f"198.51.100.{number}") for number in range(40)]))
    assert Counter(status for status, _ in one) == {302: 7, 429: 33}
    assert Counter(status for status, _ in many) == {302: 5, 429: 35}
    assert all(0 < int(seconds) <= 86_400 for status, seconds in one + many if status == 429)
    served = {line["pid"] for line in site.log_events("request_finished") if line["method"] == "POST"}
    assert len(served) >= 2, "more than one worker took part"
    with psycopg.connect(site.env["DATABASE_URL"]) as database:
        (kept,) = database.execute(
            "SELECT count(*) FROM bookings_contactmessage WHERE body LIKE 'Letter %'"
        ).fetchone() or (0,)
        rows = str(database.execute("SELECT * FROM bookings_allowance").fetchall())
        (persistence,) = database.execute(
            "SELECT relpersistence FROM pg_class WHERE relname = 'bookings_allowance'"
        ).fetchone() or ("",)
    assert kept == 12
    assert "203.0.113" not in rows
    assert "198.51.100" not in rows
    assert persistence == "u", "no write waits for the disk"
    _, metrics = site.get(site.metrics_url)
    assert 'rate_limits_total{limit="contact",whose="client"} 33.0' in metrics
    assert 'rate_limits_total{limit="contact",whose="everybody"} 35.0' in metrics


def _form(site: Stack) -> tuple[str, str]:
    """The security cookie and token of the contact form."""
    answer = _send(site, "GET", "/contact/", "", {})
    page = answer.read().decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return (answer.getheader("Set-Cookie") or "").partition(";")[0], found[1]


def _send(site: Stack, method: str, path: str, body: str, headers: dict[str, str]) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(site.url).netloc, timeout=30)
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    if method == "POST":
        answer.read()
        connection.close()
    return answer


def test_it_reads_a_rate() -> None:
    assert Rate.parse("60/h") == Rate(60, 3600)
    assert Rate.parse("60/h").step == 60
