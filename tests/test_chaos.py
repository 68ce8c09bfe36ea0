"""The short form of `make chaos`: the three most telling faults, one after the other, under booking load."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import scheduling
from bookings.models import Booking
from ops.chaos.faults import FAULTS
from ops.chaos.invariants import judge
from ops.chaos.load import Order
from ops.chaos.scene import Scene, staged
from ops.chaos.trial import run
from tests import factories


@pytest.fixture
def scene(static_files: None) -> Iterator[Scene]:
    directory = Path(tempfile.mkdtemp(prefix="xfc"))  # a short path: it holds the database's socket
    with staged(directory, deposits=False) as scene:
        yield scene
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.waits
def test_it_loses_and_doubles_nothing_when_processes_are_killed(scene: Scene) -> None:
    names = ("web-worker-killed", "task-worker-killed", "postgres-killed")
    result = run(scene, "short", [FAULTS[name] for name in names])
    assert not result.wrong
    assert result.acknowledged == result.verdict.once + result.verdict.stuck >= 6 * len(names)


@pytest.mark.django_db
def test_its_checker_is_no_yes_man() -> None:
    service = factories.service(name="Shelves")
    factories.handyman(service, name="Grace Bennett")
    at = factories.tomorrow(14, days=5)
    customer = factories.customer(customer_email="chaos1@example.com")
    booking = scheduling.book(service=service, starts_at=at, customer=customer, idempotency_key="form")
    order = Order("chaos1@example.com", service.slug, at.isoformat(), "acknowledged")
    arrived = [("chaos1@example.com", "confirmation")]

    def found(order: Order = order, post: list[tuple[str, str]] = arrived) -> dict[str, int]:
        verdict = asdict(judge(connection.connection, [order], post))
        return {name: count for name, count in verdict.items() if count and name != "told"}

    assert found() == {"once": 1}
    assert found(post=arrived * 2) == {"twice": 1}
    assert found(post=[]) == {"missing": 1}
    assert found(replace(order, outcome="refused")) == {"half": 1, "once": 1}
    assert found(replace(order, email="chaos2@example.com")) == {"lost": 1}
    assert found(replace(order, start=(at + timedelta(hours=1)).isoformat())) == {"lost": 1, "once": 1}
    scheduling.book(service=service, starts_at=at + timedelta(days=1), customer=customer, idempotency_key="another")
    assert found()["duplicated"] == 1
    Booking.objects.exclude(pk=booking.pk).delete()
    assert found() == {"half": 1, "once": 1}  # an e-mail is promised for the booking that is gone
    ProcrastinateJob.objects.exclude(args__booking_id=booking.pk).delete()
    booking.events.all().delete()
    assert found() == {"half": 1, "once": 1}
