"""Twenty customers post one window to the real site at the same moment: one gets it, nineteen get other windows."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
from django.utils import timezone

from harness.stack import Stack

CUSTOMERS, ROUNDS = 20, 10
HANDYMAN, SERVICE = "amara", "tap-repair"


def windows(site: Stack) -> list[str]:
    """One free window of the handyman on each of the coming days that have any."""
    starts: list[str] = []
    day = timezone.localdate()
    while len(starts) < ROUNDS:
        asked = urlencode({"service": SERVICE, "handyman": HANDYMAN, "week": day.isoformat()})
        week = json.loads(site.get(f"/api/availability?{asked}", headers={"Accept": "application/json"})[1])
        starts += [each["slots"][0]["start"] for each in week["days"] if each["slots"]]
        day += timedelta(days=7)
    return starts[:ROUNDS]


@pytest.mark.race
def test_it_gives_one_window_to_one_of_twenty(stack: Callable[..., Stack]) -> None:
    site = stack(workers=2, threads=4)
    address = f"/book/{SERVICE}/details/"
    netloc = urlsplit(site.url).netloc
    together = threading.Barrier(CUSTOMERS)

    def post(number: int, start: str) -> tuple[int, str]:
        connection = HTTPConnection(netloc, timeout=30)
        connection.request("GET", f"{address}?{urlencode({'start': start, 'handyman': HANDYMAN})}")
        response = connection.getresponse()
        form, cookie = response.read().decode(), str(response.getheader("Set-Cookie")).partition(";")[0]
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)) | {
            "customer_name": f"Customer {number}",
            "customer_email": f"customer{number}@example.com",
            "customer_phone": "07700 900123",
            "address": "1 Sample Street",
            "postcode": "SE1 7PB",
            "consent": "on",
        }
        together.wait(30)
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded", "Referer": site.url}
        connection.request("POST", address, urlencode(fields), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    with ThreadPoolExecutor(CUSTOMERS) as customers:
        for start in windows(site):
            answers = list(customers.map(lambda number, start=start: post(number, start), range(CUSTOMERS)))
            assert Counter(status for status, _ in answers) == {302: 1, 409: CUSTOMERS - 1}
            lost = [(number, page) for number, (status, page) in enumerate(answers) if status == 409]
            assert all(f'value="customer{number}@example.com"' in page for number, page in lost)  # what was typed
            assert all(re.search(r'name="start"[^>]*value="20', page) for _, page in lost)  # the nearest windows
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        booked = connection.execute(
            "SELECT count(*), count(DISTINCT starts_at) FROM bookings_booking WHERE customer_name LIKE 'Customer %'"
        ).fetchone()
    assert booked == (ROUNDS, ROUNDS)
    assert not [line for line in site.log_events("request_finished") if line["status_code"] >= 500]
