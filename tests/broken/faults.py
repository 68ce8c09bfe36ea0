"""Faults of any page or task, while the site runs: the file at PAGE_FAULTS has lines `route fault`."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import requests
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse

from bookings.models import Service

_kept: list[bytes] = []
_turns: dict[str, int] = {}


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The innermost one: what a page does wrong counts as the page's."""

    def respond(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    def process_view(request: HttpRequest, *_: object) -> None:
        match = request.resolver_match
        go_wrong(f"/{match.route}" if match else "")

    respond.process_view = process_view  # type: ignore[attr-defined]  # Django looks for it there
    return respond


def go_wrong(route: str) -> None:
    """Do what the file says of this route."""
    for line in Path(os.environ["PAGE_FAULTS"]).read_text().splitlines():
        named, _, fault = line.partition(" ")
        if named == route:
            _turns[route] = _turns.get(route, 0) + 1
            FAULTS[fault](_turns[route])


def _queries(number: int) -> None:
    for _ in range(number):
        list(Service.objects.filter(active=True))


def _burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(1000))


def _raise(error: type[Exception], *, when: bool = True) -> None:
    if when:
        raise error("a part is missing")


def _execute(*statements: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _keep(size: int) -> None:
    if len(_kept) < 60:  # for the machine's sake
        _kept.append(b"x" * size)


def _hold(seconds: float) -> None:
    with transaction.atomic():
        list(Service.objects.all())
        time.sleep(seconds)


FAULTS: dict[str, Callable[[int], object]] = {
    "queries": lambda _: _queries(400),
    "some-queries": lambda _: _queries(120),
    "python": lambda _: _burn(0.7),
    "sleep": lambda _: time.sleep(2.0),
    "call": lambda _: requests.get(os.environ["PEER"], timeout=20),
    "short-call": lambda _: requests.get(os.environ["PEER"], timeout=1.5),
    "refused": lambda _: requests.get("http://127.0.0.1:9/", timeout=5),
    "error": lambda _: _raise(LookupError),
    "third-error": lambda turn: _raise(KeyError, when=turn % 3 == 0),
    "lookup": lambda _: _execute("SELECT * FROM broken_parts WHERE number = 4711"),
    "advisory": lambda _: _execute("SELECT pg_advisory_xact_lock(4711)"),
    "timeout": lambda _: _execute("SET LOCAL statement_timeout = 100", "SELECT pg_sleep(1)"),
    "deep": lambda _: _execute("SELECT pg_sleep(1.2)"),
    "hold": lambda _: _hold(20),
    "memory": lambda _: _keep(8_000_000),
}
