"""What all clients share: no network of addresses uses it up, and people are slowed down before they are refused."""

import re
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings

from bookings.models import Allowance, Booking, Payment
from bookings.ratelimit import limits
from bookings.ratelimit.limits import Purpose
from tests import factories, payments
from tests.forms import posted
from tests.test_limits import LETTER, ask, limit


@pytest.mark.django_db
def test_it_lets_no_network_of_households_use_up_what_is_everybodys(
    rf: RequestFactory, limited: Callable[..., None]
) -> None:
    limited(Purpose.CONTACT, limit("2/d", "20/d"))
    passed = [ask(rf, address=f"2001:db8:1:{number:x}::1") == 0 for number in range(100)]
    assert passed.count(True) == 8, "four households' worth for a /48"
    assert ask(rf, address="2001:db8:2::1") == 0
    assert ask(rf, address="203.0.113.9") == 0


@pytest.mark.django_db
def test_it_slows_people_down_before_it_refuses_them(
    client: Client, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(Purpose.CONTACT, limit("2/d", "3/d"))
    others = [client.post("/contact/", LETTER | {"key": f"k{n}"}, REMOTE_ADDR=f"203.0.113.{n}") for n in range(3)]
    assert [each.status_code for each in others] == [302] * 3
    refused = client.post("/contact/", LETTER, REMOTE_ADDR="203.0.113.9")
    page = refused.content.decode()
    assert (refused.status_code, refused["Retry-After"]) == (429, str(limits.DELAY + 1))
    assert f"Wait {limits.DELAY + 1} seconds" in " ".join(page.split())
    assert LETTER["body"].partition("<")[0] in page
    found = re.search(r'name="turn" value="([^"]+)"', page)
    assert found
    again = LETTER | {"turn": found[1]}
    assert client.post("/contact/", again, REMOTE_ADDR="203.0.113.9").status_code == 429, "too soon"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + limits.DELAY + 1)
    assert client.post("/contact/", again, REMOTE_ADDR="203.0.113.8").status_code == 429, "another client's"
    _pass_for_clients(86_400)
    assert client.post("/contact/", again, REMOTE_ADDR="203.0.113.9").status_code == 302
    assert client.post("/contact/", again | {"turn": "forged:1:x"}, REMOTE_ADDR="203.0.113.9").status_code == 429
    _pass_for_clients(86_400)
    monkeypatch.setattr(time, "time", lambda: now + 700)
    assert client.post("/contact/", again, REMOTE_ADDR="203.0.113.9").status_code == 429, "too late"


def _pass_for_clients(seconds: float) -> None:
    """Let time go by, for the rows of single clients."""
    for row in Allowance.objects.filter(key__regex="[0-9a-f]{40}$"):
        Allowance.objects.filter(pk=row.pk).update(whole_at=row.whole_at - timedelta(seconds=seconds))


@pytest.mark.django_db
def test_it_refuses_even_patient_clients_in_the_end(
    rf: RequestFactory, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(Purpose.CONTACT, limit("3/d", "2/d"))
    now = time.time()

    def come_again(number: int) -> int:
        address = f"198.51.100.{number}"
        pause = limits.wait(rf.post("/", REMOTE_ADDR=address), Purpose.CONTACT)
        with monkeypatch.context() as later:
            later.setattr(time, "time", lambda: now + limits.DELAY + 2)
            return limits.wait(rf.post("/", {"turn": pause.turn}, REMOTE_ADDR=address), Purpose.CONTACT)

    assert [ask(rf, address=f"203.0.113.{number}") for number in range(2)] == [0, 0]
    answers = [come_again(number) for number in range(12)]
    assert answers[:8] == [0] * 8
    assert all(pause > 3600 for pause in answers[8:])


@pytest.mark.django_db
def test_it_charges_everybody_little_for_a_form_that_is_refused(client: Client, limited: Callable[..., None]) -> None:
    limited(Purpose.CONTACT, limit("100/d", "4/d"))
    wrong = [client.post("/contact/", LETTER | {"email": "none"}, REMOTE_ADDR="203.0.113.9") for _ in range(10)]
    assert [each.status_code for each in wrong] == [422] * 10
    kept = [client.post("/contact/", LETTER | {"key": str(n)}, REMOTE_ADDR="203.0.113.7") for n in range(3)]
    assert [each.status_code for each in kept] == [302, 302, 429]


@pytest.mark.django_db
def test_it_gives_back_what_a_refused_form_had_paid_and_no_more(
    rf: RequestFactory, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(Purpose.CONTACT, limit("100/d", "2/d"))
    assert [ask(rf) for _ in range(2)] == [0, 0]
    turn = limits.wait(rf.post("/", REMOTE_ADDR="203.0.113.9"), Purpose.CONTACT).turn
    now = time.time()
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: now + limits.DELAY + 2)
        for _ in range(12):
            patient = rf.post("/", {"turn": turn}, REMOTE_ADDR="203.0.113.9")
            assert limits.wait(patient, Purpose.CONTACT) == 0
            limits.give_back(patient, Purpose.CONTACT)
    assert ask(rf, address="203.0.113.8") == limits.DELAY + 1, "everybody's is still used up"


@pytest.mark.django_db
def test_it_lets_who_looks_go_on_after_a_delay(
    client: Client, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(Purpose.AVAILABILITY, limit("1000/d", "10/d"))
    limits._unpaid.clear()
    service = factories.service()
    factories.handyman(service)
    page = f"/book/{service.slug}/"
    assert [client.get(page).status_code for _ in range(20)][-1] == 429
    link = re.search(r'href="(\?[^"]*turn=[^"]+)"', client.get(page).content.decode())
    assert link
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + limits.DELAY + 2)
    assert client.get(page + link[1].replace("&amp;", "&")).status_code == 200


def _booked() -> Booking:
    service, later = factories.service(), factories.tomorrow(days=9)
    return factories.booking(service=service, handyman=factories.handyman(service), starts_at=later)


def _held() -> Booking:
    service = payments.service()
    factories.handyman(service)
    booking = payments.hold(service)
    Payment.objects.update(session_id="cs_1", session_url="https://checkout.stripe.com/c/pay/cs_1")
    return booking


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("made", "page", "sent"),
    [
        (_booked, "", {"action": "cancel"}),
        (_booked, "", {"action": "move", "start": "later"}),
        (_booked, "details/", {"customer_name": "Robin Corrected"}),
        (_held, "pay/", {}),
    ],
)
def test_a_flood_keeps_no_customer_from_changing_what_is_booked(
    client: Client,
    limited: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    made: Callable[[], Booking],
    page: str,
    sent: dict[str, str],
) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_never_asked"
    booking = made()
    address = booking.get_absolute_url() + page
    form = posted(client.get(address).content) | sent
    if "start" in sent:
        form["start"] = [(booking.starts_at + timedelta(hours=2)).isoformat()]
    limited(Purpose.BOOKING, limit("5/d", "1/d"))
    assert [ask(RequestFactory(), Purpose.BOOKING, f"203.0.113.{number}") for number in (1, 2)] == [0, limits.DELAY + 1]
    refused = client.post(address, form)
    assert (refused.status_code, refused["Retry-After"]) == (429, str(limits.DELAY + 1))
    again = posted(refused.content) | sent | ({"start": form["start"]} if "start" in sent else {})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + limits.DELAY + 2)
    assert client.post(address, again).status_code == 302
