"""A message becomes a quote, the quote a visit: written by staff, accepted by a link, booked at the quoted price."""

import json
from datetime import timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from django.utils import timezone

from bookings import events, tasks
from bookings.models import Booking, ContactMessage, Handyman, MessagePhoto, Quote, Service, Status, VisitPhoto
from bookings.personal_data import archive, erasure
from bookings.scheduling import QuoteGone, quotes
from tests import factories, forms
from tests.quoting import accept, details, page, typed, windows_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def fence() -> Service:
    return factories.service(slug="fence", name="Fence", pricing="quote", price_pence=0)


@pytest.fixture
def gate() -> Service:
    return factories.service(slug="gate", name="Gate")


@pytest.fixture
def dev(fence: Service, gate: Service) -> Handyman:
    return factories.handyman(fence, gate)


@pytest.fixture
def message(dev: Handyman) -> ContactMessage:
    made = ContactMessage.objects.create(
        name="Robin Example",
        email="robin@example.com",
        phone="07700 900200",
        topic="quote",
        body="A fence? evil.example",
    )
    MessagePhoto.objects.create(message=made, jpeg=b"a picture")
    return made


@pytest.fixture
def office(message: ContactMessage) -> Client:
    client = Client()
    client.force_login(factories.clerk())
    return client


@pytest.fixture
def seen() -> Any:
    found: list[events.Event] = []

    def listen(event: events.Event, **_: Any) -> None:
        found.append(event)

    events.occurred.connect(listen)
    yield found
    events.occurred.disconnect(listen)


@pytest.fixture
def quote(office: Client, message: ContactMessage, fence: Service, gate: Service) -> Quote:
    forms.submit(office, page(message), **typed(fence, gate))
    return Quote.objects.with_lines().get()


def test_a_quote_is_sent_by_mail_and_kept_with_its_message(
    office: Client,
    message: ContactMessage,
    fence: Service,
    gate: Service,
    django_capture_on_commit_callbacks: Any,
    seen: list[events.Event],
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = forms.submit(office, page(message), **typed(fence, gate))
    assert "Your quote is on its way" in response.content.decode()
    quote = Quote.objects.with_lines().get()
    assert seen == [events.QuoteSent(quote_id=quote.pk, message_id=message.pk, replaces=False)]
    assert [(job.name, job.minutes, job.price_pence) for job in quote.jobs] == [
        ("Fence", 180, 25000),
        ("2 × Gate", 120, 9950),
    ]
    assert quote.valid_until == timezone.localdate() + timedelta(days=30)
    for _ in range(2):
        tasks.send_quote(message_id=message.pk, quote_id=quote.pk)
    (letter,) = mail.outbox
    assert letter.to == ["robin@example.com"]
    assert "2 × Gate: £99.50" in letter.body
    assert "Together: £349.50" in letter.body
    assert quote.get_absolute_url() in letter.body
    assert "evil.example" not in str(letter.message()), "anybody can give anybody's address"
    shown = office.get(page(message)).content.decode()
    assert "<li>Fence: £250, 180 minutes</li>" in shown
    assert "£349.50" in shown
    assert "Waits for the customer" in shown
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Quoted."]


def test_an_accepted_quote_is_booked_at_its_price_with_the_photos(
    client: Client, quote: Quote, django_capture_on_commit_callbacks: Any, seen: list[events.Event]
) -> None:
    shown = client.get(quote.get_absolute_url()).content.decode()
    assert "£349.50 fixed price" in shown
    quote.refresh_from_db()
    assert quote.accepted_at is None, "GET shows"
    Service.objects.update(price_pence=1, active=False)  # what was quoted stands, whatever becomes of the catalogue
    with django_capture_on_commit_callbacks(execute=True):
        windows = client.get(accept(client, quote)).content.decode()
        assert "£349.50" in windows
        assert "earlier comes free" not in windows
        address, form = details(client, quote)
        assert form["customer_email"] == ["robin@example.com"]
        response = client.post(address, form)
    assert response.status_code == 302, response.content.decode()
    booking = Booking.objects.with_jobs().get()
    assert [(job.name, job.minutes, job.price_pence, job.pricing) for job in booking.jobs] == [
        ("Fence", 180, 25000, "fixed"),
        ("2 × Gate", 120, 9950, "fixed"),
    ]
    assert [bytes(photo.jpeg) for photo in VisitPhoto.objects.filter(booking=booking)] == [b"a picture"]
    happened = [type(each) for each in seen if "Quote" in type(each).__name__]
    assert happened == [events.QuoteAccepted, events.QuoteBooked]
    again = client.get(quote.get_absolute_url()).content.decode()
    assert "This quote is booked" in again
    assert booking.get_absolute_url() in again
    assert client.get(windows_of(quote)).headers["Location"] == quote.get_absolute_url()


def test_two_tabs_make_one_visit(client: Client, quote: Quote) -> None:
    first, second = details(client, quote), details(client, quote, hour=11)
    assert client.post(*first).status_code == 302
    assert client.post(*first).status_code == 302, "the same form, sent twice"
    answer = client.post(*second)
    assert answer.status_code == 409
    assert "With this quote you have already booked" in answer.content.decode()
    assert "second visit" not in answer.content.decode()
    assert client.post(second[0], second[1] | {"twice": ["second"]}).status_code == 409
    assert Booking.objects.count() == 1
    assert client.post(second[0], second[1] | {"twice": ["move"]}).status_code == 302
    assert Booking.objects.get().starts_at == factories.tomorrow(11)


def test_nobody_guesses_the_key_by_which_a_quote_makes_one_visit(client: Client, quote: Quote, gate: Service) -> None:
    assert client.post(*details(client, quote)).status_code == 302
    who = {"customer_name": "Eve", "customer_email": "eve@example.com", "customer_phone": "07700 900999"}
    where = {"postcode": "SE15 4QL", "address": "2 Sample Street", "consent": "on"}
    start = f"{factories.tomorrow(15):%Y-%m-%dT%H:%M:%SZ}"
    form = {"key": quote.form_key, "offer": gate.offer, "start": start, **who, **where}
    assert client.post("/book/gate/details/", form).status_code == 302
    assert Booking.objects.count() == 2


def test_a_cancelled_visit_of_a_quote_can_be_booked_again(client: Client, quote: Quote) -> None:
    address, form = details(client, quote)
    client.post(address, form)
    Booking.objects.update(status=Status.CANCELLED)
    assert "When shall we come?" in client.get(quote.get_absolute_url()).content.decode()
    assert client.post(address, form).status_code == 302
    assert Booking.objects.filter(status=Status.CONFIRMED).get().total.least == 34950
    Booking.objects.filter(status=Status.CONFIRMED).update(status=Status.COMPLETED)
    done = client.post(address, form)
    assert done.status_code == 409
    assert "This quote is booked" in done.content.decode()


def _expire(office: Client, quote: Quote) -> None:
    Quote.objects.update(valid_until=timezone.localdate() - timedelta(days=1))


def _withdraw(office: Client, quote: Quote) -> None:
    forms.submit(office, page(quote.message), withdraw_quote="1")


def _replace(office: Client, quote: Quote) -> None:
    fence = Service.objects.get(slug="fence")
    forms.submit(office, page(quote.message), quote_job_1=fence.pk, quote_price_1="200", send_quote="1")


ENDS = [
    (_expire, "This quote has expired"),
    (_withdraw, "We had to take this quote back"),
    (_replace, "There is a newer quote for you"),
]


@pytest.mark.parametrize(("end", "told"), ENDS)
def test_a_quote_that_is_over_says_what_happened_and_what_to_do(
    client: Client, office: Client, quote: Quote, end: Any, told: str
) -> None:
    shown = forms.posted(client.get(quote.get_absolute_url()).content)
    end(office, quote)
    answer = client.post(quote.get_absolute_url(), shown)
    assert answer.status_code == 409
    assert told in answer.content.decode()
    assert "Nothing was booked just now" in answer.content.decode()
    assert told in client.get(quote.get_absolute_url()).content.decode()
    assert client.get(windows_of(quote)).headers["Location"] == quote.get_absolute_url()
    if end is _replace:
        newer = Quote.objects.latest("pk")
        assert newer.get_absolute_url() in answer.content.decode()
        assert client.get(accept(client, newer)).status_code == 200


@pytest.mark.parametrize(("end", "told"), ENDS[1:])
def test_a_quote_that_ends_before_its_visit_is_booked_books_nothing(
    client: Client, office: Client, quote: Quote, end: Any, told: str
) -> None:
    address, form = details(client, quote)
    end(office, quote)
    answer = client.post(address, form)
    assert (answer.status_code, told in answer.content.decode()) == (409, True)
    assert not Booking.objects.exists()
    quote = Quote.objects.with_lines().get(pk=quote.pk)
    with pytest.raises(QuoteGone):
        quotes.accept(quote=quote)


def test_an_accepted_quote_outlives_its_last_day(client: Client, office: Client, quote: Quote) -> None:
    address, form = details(client, quote)
    _expire(office, quote)
    assert client.post(address, form).status_code == 302


def test_staff_are_told_when_the_customer_accepts_while_they_write(
    client: Client, office: Client, quote: Quote, fence: Service
) -> None:
    shown = office.get(page(quote.message)).content
    accept(client, quote)
    for pressed in ({"withdraw_quote": "1"}, {"quote_job_1": str(fence.pk), "quote_price_1": "9", "send_quote": "1"}):
        refused = office.post(page(quote.message), forms.posted(shown, **pressed)).content.decode()
        assert "The quote below has changed meanwhile" in refused
        assert "Accepted, no time chosen yet" in refused
    assert Quote.objects.get().state == Quote.State.ACCEPTED
    again = forms.posted(refused, withdraw_quote="1", quote_job_1="", quote_price_1="")
    assert office.post(page(quote.message), again).status_code == 302
    assert Quote.objects.get().state == Quote.State.WITHDRAWN


def test_the_inbox_has_a_folder_of_accepted_quotes_without_a_time(client: Client, office: Client, quote: Quote) -> None:
    folder = "/admin/bookings/contactmessage/?folder=accepted"
    assert "Robin Example" not in office.get(folder).content.decode()
    form = details(client, quote)
    assert "Robin Example" in office.get(folder).content.decode()
    client.post(*form)
    assert "Robin Example" not in office.get(folder).content.decode()


def test_a_held_visit_of_a_quote_asks_for_the_missing_step(client: Client, quote: Quote) -> None:
    address, form = details(client, quote)
    client.post(address, form)
    Booking.objects.update(status=Status.HELD, hold_expires_at=timezone.now() + timedelta(minutes=5))
    assert "One step is missing" in client.get(quote.get_absolute_url()).content.decode()
    Booking.objects.update(hold_expires_at=timezone.now())
    assert "When shall we come?" in client.get(quote.get_absolute_url()).content.decode()
    assert client.post(address, form).status_code == 302
    assert Booking.objects.filter(status=Status.CONFIRMED).count() == 1


def test_the_same_form_sent_twice_is_one_quote(
    office: Client, message: ContactMessage, fence: Service, gate: Service
) -> None:
    given = {name: str(value) for name, value in typed(fence, gate).items()}
    form = forms.posted(office.get(page(message)).content, **given)
    for _ in range(2):
        assert office.post(page(message), form).status_code == 302
    assert Quote.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"quote_price_1": ""}, "Enter what it costs."),
        ({"quote_job_2": ""}, "Choose the job."),
        ({"quote_until": "2020-01-01"}, "Choose a day from today"),
        ({"quote_until": ""}, "Choose a day from today"),
        ({"quote_minutes_1": 1000}, "No handyman does all of this"),
        ({"quote_note": "x" * 2001}, "at most 2000 characters"),
        ({"send_quote": None, "mark_handled": "1"}, "This quote is not sent yet"),
        ({"answer": "And a word."}, "This is not sent yet"),
    ],
)
def test_what_cannot_be_quoted_is_kept_on_the_page(
    office: Client, message: ContactMessage, fence: Service, gate: Service, changed: dict[str, Any], told: str
) -> None:
    response = forms.submit(office, page(message), **typed(fence, gate, **changed)).content.decode()
    assert told in response
    assert changed.get("quote_note", "With posts of oak.") in response
    assert not Quote.objects.exists()


def test_only_who_may_answer_quotes(client: Client, message: ContactMessage, fence: Service, gate: Service) -> None:
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_contactmessage"))
    client.force_login(reader)
    assert b"quote_job_1" not in client.get(page(message)).content
    assert client.post(page(message), typed(fence, gate, key="k")).status_code == 403
    ContactMessage.objects.update(suspected_spam=True)
    client.force_login(User.objects.create_superuser("owner"))
    spam = client.get(page(message)).content
    assert b"quote_job_1" not in spam
    given = {name: str(value) for name, value in typed(fence, gate, key="k").items()}
    client.post(page(message), forms.posted(spam, **given))
    assert not Quote.objects.exists()


def test_a_forged_link_opens_nothing(client: Client, quote: Quote) -> None:
    forged = quote.link_token[:-2] + "xx"
    job = f"?job=quote:{forged}"
    for address in (f"/quotes/{forged}/", f"/book/fence/{job}", f"/book/fence/details/{job}"):
        response = client.get(address)
        assert (response.status_code, "does not open a quote" in response.content.decode()) == (404, True)
    assert client.get(f"/api/availability?service=fence&job=quote:{forged}").status_code == 404


def test_quotes_are_given_out_and_forgotten_with_their_message(quote: Quote) -> None:
    file = BytesIO()
    archive.write("robin@example.com", file)
    (told,) = json.loads(ZipFile(file).read("customer.json"))["messages"]
    assert told["quotes"][0]["note"] == "With posts of oak."
    assert [job["price"] for job in told["quotes"][0]["jobs"]] == ["250.00", "99.50"]
    assert erasure.erase("robin@example.com").waiting_emails == 1
    assert not Quote.objects.exists()
