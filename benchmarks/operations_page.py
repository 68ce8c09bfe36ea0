"""How fast the Operations page is with a year of bookings and a million page views.

`python -m benchmarks.operations_page [directory]` fills a database of its own, serves the site on it as production
does, asks for the page thirty times over HTTP and prints the times. With a directory, screenshots of 1280 and 390 px go
there.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import django
import psutil
import psycopg
import requests
from django.conf import settings
from playwright.sync_api import sync_playwright
from psycopg import sql

from benchmarks.rum_rows import FILL, ROLL_UP
from harness.chromium import ARGUMENTS, installed
from harness.stack import Stack, running_stack
from xfhandyman import process_tree

NAME = "xf_operations_benchmark"
VIEWS = 1_000_000
REQUESTS = 30
PAGE = "/admin/operations/"
SCRIPT_ERRORS = "UPDATE telemetry_rumsample SET js_errors = 1 + id % 3 WHERE id % 4999 = 0"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection, connections

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(NAME))
        server.execute(drop)
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        connections["default"].settings_dict["NAME"] = NAME
        connections["default"].settings_dict["OPTIONS"]["options"] = "-c statement_timeout=0"
        try:
            call_command("migrate", verbosity=0)
            call_command("demo", empty=True, verbosity=0)
            bookings, events = fill_bookings(random.Random(1))
            with connection.cursor() as cursor:
                cursor.execute(FILL, {"rows": VIEWS})
                cursor.execute(ROLL_UP)
                cursor.execute(SCRIPT_ERRORS)
                cursor.execute("ANALYZE")
            print(f"{bookings:,} bookings with {events:,} events, {VIEWS:,} page views")
            session_key = staff_session()
            connection.close()
            connections["default"].close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has it
            server_url, _, options = os.environ["DATABASE_URL"].partition("?")
            url = f"{server_url.rpartition('/')[0]}/{NAME}" + (f"?{options}" if options else "")
            with tempfile.TemporaryDirectory() as directory, running_stack(Path(directory), url, workers=1) as site:
                measure(site, session_key)
                if len(sys.argv) > 1:
                    shoot(site.url + PAGE, session_key, Path(sys.argv[1]))
        finally:
            server.execute(drop)


def fill_bookings(chance: random.Random) -> tuple[int, int]:
    """A year of visits behind and a month ahead, four a day for each handyman at work; their number and their events'.

    One of ten was called off; every one has its history.
    """
    from django.utils import timezone

    from bookings.models import Booking, BookingEvent, Handyman, Service, Status

    now = timezone.now()
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    Booking.objects.all().delete()
    services = list(Service.objects.filter(duration_minutes__lte=90))
    bookings: list[Booking] = []
    history: list[tuple[int, Any, datetime]] = []
    for handyman in Handyman.objects.all():
        for day in range(-365, 31):
            hours = (9, 11, 13.5, 15.5) if day < 0 else chance.sample((9, 11, 13.5, 15.5), max(0, 4 - day // 7))
            for hour in hours if (today + timedelta(days=day)).weekday() < 5 else ():
                start = today + timedelta(days=day, hours=hour)
                made = min(
                    start - timedelta(hours=chance.uniform(5, 300)), now - timedelta(hours=chance.uniform(0, 60))
                )
                off = chance.random() < 0.1
                booking = Booking(
                    handyman=handyman, service=chance.choice(services), created_at=made, consent_at=made,
                    customer_name="Robin Sample", customer_email="robin@example.com", customer_phone="07700 900200",
                    address="1 Sample Street, London", postcode="SE1 7PB", idempotency_key=f"year-{len(bookings)}",
                    status=Status.CANCELLED if off else Status.COMPLETED if start < now else Status.CONFIRMED,
                )  # fmt: skip
                booking.take_time(start)
                booking.take_price()
                history.append((len(bookings), BookingEvent.Kind.CREATED, made))
                if off:
                    history.append((len(bookings), BookingEvent.Kind.CANCELLED, min(made + timedelta(hours=3), now)))
                elif start < now:
                    history.append((len(bookings), BookingEvent.Kind.COMPLETED, start + timedelta(hours=2)))
                bookings.append(booking)
    Booking.objects.bulk_create(bookings, batch_size=1000)
    BookingEvent.objects.bulk_create(
        (BookingEvent(booking=bookings[n], kind=kind, at=at, by=BookingEvent.By.CUSTOMER) for n, kind, at in history),
        batch_size=1000,
    )
    return len(bookings), len(history)


def staff_session() -> str:
    """The session cookie of a member of staff who may see everything."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.create_superuser("benchmark"))
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def measure(site: Stack, session_key: str) -> None:
    """Ask for the page and print how long it took."""
    took = []
    (worker,) = psutil.Process(site.web.pid).children()
    with requests.Session() as session:
        session.cookies.set(settings.SESSION_COOKIE_NAME, session_key)
        for number in range(REQUESTS + 1):
            if number == 1:
                used = sum(worker.cpu_times()[:2])
            started = time.perf_counter()
            answer = session.get(site.url + PAGE, timeout=30, allow_redirects=False)
            took.append(time.perf_counter() - started)
            assert answer.status_code == 200, site.log_text
    first, *rest = (seconds * 1000 for seconds in took)
    used = (sum(worker.cpu_times()[:2]) - used) / REQUESTS * 1000
    print(
        f"Operations page over HTTP, {REQUESTS} times: best {min(rest):.0f} ms, "
        f"median {statistics.median(rest):.0f} ms, "
        f"p95 {sorted(rest)[int(len(rest) * 0.95)]:.0f} ms (the very first {first:.0f} ms); "
        f"{used:.0f} ms of the web worker's CPU; {len(answer.content) / 1024:.0f} KiB"
    )


def shoot(url: str, session_key: str, directory: Path) -> None:
    """Take full-page screenshots, as wide as a desk and as a phone."""
    directory.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=ARGUMENTS)
        for width in (1280, 390):
            context = browser.new_context(viewport={"width": width, "height": 844}, locale="en-GB")
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session_key, "url": url}])
            page = context.new_page()
            page.goto(url)
            path = directory / f"operations-{width}.png"
            page.screenshot(path=path, full_page=True)
            print(path)
        browser.close()


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    main()
