"""A customer moves a visit in the very moment in which staff save it: whoever comes second sees what the first did."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bookings import scheduling
from bookings.models import Booking
from bookings.scheduling import By
from tests import factories
from tests.forms import posted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
ROUNDS = 15


def test_a_move_is_never_undone_by_a_form_that_is_saved_at_the_same_moment() -> None:
    """Either the form was first, and the visit is moved after it; or the move was, and the form is shown again."""
    service = factories.service()
    visit = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow(9))
    Booking.objects.update(proven_at=timezone.now())  # an unproven one may be moved a few times only
    office = Client()
    office.force_login(User.objects.create_superuser("admin"))
    address = reverse("admin:bookings_booking_change", args=[visit.pk])
    pool = connection.settings_dict["OPTIONS"].pop("pool", None)
    connection.close()
    gate = Barrier(2)

    def save(form: dict[str, list[str]]) -> int:
        gate.wait(10)
        try:
            return office.post(address, form).status_code
        finally:
            connections.close_all()

    def move(hours: int) -> None:
        gate.wait(10)
        try:
            scheduling.move(booking=visit, starts_at=factories.tomorrow(9) + timedelta(hours=hours), by=By.CUSTOMER)
        finally:
            connections.close_all()

    answers: Counter[int] = Counter()
    try:
        with ThreadPoolExecutor(2) as both:
            for number in range(1, ROUNDS):
                visit.refresh_from_db()
                notes = f"Round {number}"
                form = posted(office.get(address).content, notes=notes)
                saved = both.submit(save, form)
                both.submit(move, number % 7 + 1).result()
                answers[saved.result()] += 1
                visit.refresh_from_db()
                assert visit.starts_at == factories.tomorrow(9) + timedelta(hours=number % 7 + 1)
                assert (visit.notes == notes) == (saved.result() == 302)
    finally:
        connection.close()
        if pool is not None:
            connection.settings_dict["OPTIONS"]["pool"] = pool
    assert set(answers) <= {200, 302}
