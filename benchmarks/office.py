"""Whether the office's pages are made as fast among a million bookings as among ten thousand.

Fifty handymen, half of the windows to come taken, one handyman full to the horizon; the bookings of the past are
completed. A hundredth of them came from a quote. The pages are asked for by the owner, within the process.
"""

import os
import sys
from collections.abc import Callable
from functools import partial

import psycopg

from benchmarks import availability
from benchmarks.measured import Figure

PEOPLE = 50
PAGES = {
    "desk": ("/admin/", 20),
    "desk, of one handyman": ("/admin/", 20),
    "schedule, week of all": ("/admin/bookings/booking/schedule/", 12),
    "schedule, day of all": ("/admin/bookings/booking/day/", 12),
}
"""Each page's address, and the most queries that it may need."""
_QUOTES = """
WITH booked AS (
    SELECT id, created_at, row_number() OVER () AS n FROM bookings_booking WHERE status = 'completed' AND id % 100 = 0
), asked AS (
    INSERT INTO bookings_contactmessage (name, email, phone, topic, body, created_at, handled_at, suspected_spam,
        idempotency_key)
    SELECT 'Ada Benchmark ' || n, 'ada@example.com', '', 'quote', 'A fence?', created_at, created_at, false,
        'bench ' || n FROM booked
    RETURNING id, name, created_at
), quoted AS (
    INSERT INTO bookings_quote (message_id, booking_id, note, valid_until, key, link_key, written_at, accepted_at)
    SELECT asked.id, booked.id, '', asked.created_at::date, asked.name, '', asked.created_at, asked.created_at
    FROM asked JOIN booked ON asked.name = 'Ada Benchmark ' || booked.n
    RETURNING id
)
INSERT INTO bookings_quoteline (quote_id, service_id, quantity, minutes, price_pence)
SELECT quoted.id, service.id, 1, 60, 6000
FROM quoted, (SELECT min(id) AS id FROM bookings_service) AS service;
UPDATE bookings_quote SET booking_id = NULL WHERE id % 50 = 0 AND id > (SELECT max(id) FROM bookings_quote) - 5000;
VACUUM ANALYZE bookings_quote;
"""


def fill(url: str, bookings: int) -> None:
    """Make the people, their bookings, and the quotes of some."""
    availability.fill(url, bookings, people=PEOPLE, past="completed")
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(str.strip, _QUOTES.split(";")):
            connection.execute(statement)


def figures(quick: bool = False) -> list[Figure]:
    """The ratio of each page's time among the most bookings to that among the fewest, and its queries."""
    most = {name: queries for name, (_, queries) in PAGES.items()}
    return availability.compared("office", __name__, most, fill, quick, rounds=18)


def _answers() -> dict[str, Callable[[], object]]:
    from django.contrib.auth.models import Group, User
    from django.test import Client
    from django.test.utils import setup_test_environment

    from bookings.models import Handyman

    setup_test_environment()
    owner, his = User.objects.create_superuser("benchmark"), User.objects.create_user("bench-1", is_staff=True)
    his.groups.set(Group.objects.filter(name="Handymen"))
    Handyman.objects.filter(slug="bench-1").update(user=his)
    clients = {user: Client() for user in (owner, his)}
    for user, client in clients.items():
        client.force_login(user)

    def show(client: Client, address: str) -> None:
        assert client.get(address, secure=True).status_code == 200, address

    return {
        name: partial(show, clients[his if "one handyman" in name else owner], address)
        for name, (address, _) in PAGES.items()
    }


if __name__ == "__main__":
    import django

    os.environ |= {"DJANGO_SETTINGS_MODULE": "xfhandyman.settings", "STAFF_SECOND_FACTOR": "false"}
    django.setup()
    assert sys.argv[1:] == ["answer"]
    availability.answer(_answers)
