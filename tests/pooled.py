"""Run by test_scale_out.py in a process that connects as a web process does: what a pooler must not break."""

import os
import threading
import time
from datetime import UTC, datetime

import django
import psycopg

os.environ["PROCESS_TYPE"] = "web"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")
django.setup()

from django.db import connection  # noqa: E402 - after the set-up
from procrastinate.contrib.django import app  # noqa: E402 - as above

from bookings.models import Service  # noqa: E402 - as above
from telemetry.diagnosis import locks  # noqa: E402 - as above
from telemetry.observe.probe import database  # noqa: E402 - as above
from telemetry.observe.snapshot import Held  # noqa: E402 - as above
from telemetry.rum import store  # noqa: E402 - as above
from telemetry.rum.store import Row  # noqa: E402 - as above

assert app.connector, "the outbox defers through Django's own connection"
for _ in range(12):  # psycopg would prepare a statement from the sixth time on
    streamed = 0
    for service in Service.objects.iterator(chunk_size=2):  # each chunk may come over another server connection
        streamed += Service.objects.filter(pk=service.pk).count()
    assert streamed == Service.objects.count()
with connection.cursor() as cursor:
    cursor.execute("SHOW statement_timeout")
    print("statement_timeout", cursor.fetchone()[0])
for number in range(12):
    now = datetime.now(UTC)
    vital = 0.1 * number
    rows = [
        Row(now, f"/{each}/", "mobile", "navigate", "1", "", 0, vital, 0, vital, vital, vital, 1, 0) for each in "ab"
    ]
    store.write(rows)
assert store.purge(datetime.fromtimestamp(time.time() + 60, UTC)) >= 24
assert database.check(5).ok

with psycopg.connect(os.environ["DATABASE_DIRECT_URL"]) as holder:
    holder.execute("SELECT 1 FROM bookings_service FOR UPDATE")
    waiting = threading.Thread(target=lambda: Service.objects.update(position=1))
    waiting.start()
    stuck = [Held("query", "UPDATE bookings_service", "/", 1.0, backend_pid=1)]
    deadline = time.monotonic() + 30
    while not (found := locks.waiting(stuck, ())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [(lock.holder, lock.last_query, lock.idle) for lock in found] == [
        ("another session", "SELECT bookings_service", True)
    ]
waiting.join()
print("done")
