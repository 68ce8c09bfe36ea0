"""Reading the diary for several requests at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bookings.models import Service
from bookings.slots import calendars
from tests import factories


@pytest.mark.alone  # with connections of the pool to spare
@pytest.mark.django_db(transaction=True)
def test_one_slow_query_does_not_hold_up_the_diary_of_another_request() -> None:
    service = factories.service()
    factories.handyman(service)
    both_ask = Barrier(2)

    def free(service: Service) -> int:
        def wait(execute: Any, sql: str, *rest: Any) -> Any:
            if "workinghours" in sql:
                both_ask.wait(10)
            return execute(sql, *rest)

        try:
            now = timezone.now()
            with connection.execute_wrapper(wait):
                return len(calendars.free_slots(service=service, first=now.date(), last=now.date() + timedelta(days=7)))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(free, [service, service]))
    assert found[0] == found[1] > 0
