"""A visit and a change of its handyman's time in the same instant: whoever is second knows of the first."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from bookings import scheduling
from bookings.admin import clashes
from bookings.models import Booking, Handyman, Service
from bookings.scheduling import history
from harness.stack import wait_for
from tests import factories, forms

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
AT = factories.tomorrow(10, days=3)


@pytest.fixture
def outside_the_pool() -> Iterator[None]:
    """Each thread has a database connection of its own."""
    options = connection.settings_dict["OPTIONS"].pop("pool", None)
    connection.close()
    yield
    connection.close()
    if options is not None:
        connection.settings_dict["OPTIONS"]["pool"] = options


@contextmanager
def stopping(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Iterator[tuple[Event, Event]]:
    """Have the first call of a function wait, within its transaction: (it is there, it may go on)."""
    there, go_on = Event(), Event()
    real = getattr(module, name)

    def waiting(*args: Any, **kwargs: Any) -> Any:
        if not there.is_set():
            there.set()
            assert go_on.wait(20)
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, waiting)
        yield there, go_on


def somebody_waits() -> bool:
    """Whether a transaction waits for another's row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(cursor.fetchone()[0])


def booked(service: Service) -> Booking | scheduling.SlotUnavailable:
    try:
        return scheduling.book(
            service=service, starts_at=AT, customer=factories.customer(), idempotency_key=f"form-{service.pk}"
        )
    except scheduling.SlotUnavailable as refusal:
        return refusal
    finally:
        connections.close_all()


def moment(name: str, at: Any) -> dict[str, str]:
    local = timezone.localtime(at)
    return {f"{name}_0": f"{local:%Y-%m-%d}", f"{name}_1": f"{local:%H:%M}"}


def time_off(person: Handyman) -> tuple[str, dict[str, Any]]:
    ends = AT + timedelta(hours=2)
    return "timeoff/add/", {"handyman": person.pk} | moment("starts_at", AT) | moment("ends_at", ends)


def time_off_beside_the_handyman(person: Handyman) -> tuple[str, dict[str, Any]]:
    row = moment("time_off-0-starts_at", AT) | moment("time_off-0-ends_at", AT + timedelta(hours=2))
    return page(person), row


def holiday(person: Handyman) -> tuple[str, dict[str, Any]]:
    return "holiday/add/", {"date": timezone.localdate(AT), "name": "Feast"}


def hours(person: Handyman) -> tuple[str, dict[str, Any]]:
    return page(person), {f"working_hours-{weekday}-end": "09:00" for weekday in range(7)}


def skills(person: Handyman) -> tuple[str, dict[str, Any]]:
    return page(person), {"skills": None}


def leaving(person: Handyman) -> tuple[str, dict[str, Any]]:
    return page(person), {"active": None}


def page(person: Handyman) -> str:
    return f"handyman/{person.pk}/change/"


Change = Callable[[Handyman], tuple[str, dict[str, Any]]]
CHANGES: list[Change] = [time_off, time_off_beside_the_handyman, holiday, hours, skills, leaving]


def saved(user: User, path: str, changed: dict[str, Any]) -> str:
    """What staff read after they saved it."""
    try:
        client = Client()
        client.force_login(user)
        response = forms.submit(client, f"/admin/bookings/{path}", **changed)
        assert response.redirect_chain, response.content.decode()
        return " ".join(str(message) for message in response.context["messages"])
    finally:
        connections.close_all()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first", ["customer", "staff"])
def test_it_lets_the_second_know_of_the_first(
    outside_the_pool: None, monkeypatch: pytest.MonkeyPatch, change: Change, first: str
) -> None:
    service = factories.service()
    person = factories.handyman(service)
    user = User.objects.create_superuser("office")
    path, changed = change(person)
    module, name = (history, "record") if first == "customer" else (clashes, "warn")
    with ThreadPoolExecutor(2) as at_once, stopping(monkeypatch, module, name) as (there, go_on):
        customer: Future[Any] = at_once.submit(booked, service) if first == "customer" else Future()
        staff: Future[str] = at_once.submit(saved, user, path, changed) if first == "staff" else Future()
        assert there.wait(20)
        if first == "customer":
            staff = at_once.submit(saved, user, path, changed)
        else:
            customer = at_once.submit(booked, service)
        wait_for("the second to wait for the first", somebody_waits, 20)
        go_on.set()
        answer, read = customer.result(30), staff.result(30)
    warned = "must be moved or cancelled" in read
    assert warned == (first == "customer"), read
    assert isinstance(answer, Booking) == (first == "customer"), answer
    flagged = [booking for booking, _ in clashes.of(clashes.expected())]
    assert flagged == ([answer] if first == "customer" else [])
