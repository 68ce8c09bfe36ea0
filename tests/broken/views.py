"""Views that fail on request."""

import os
import threading
import time
from pathlib import Path

import requests
import structlog
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse

from bookings.models import Service
from telemetry import errors
from tests.broken import CANARY, tasks

_kept: list[bytes] = []


def raises(request: HttpRequest, what: str) -> HttpResponse:
    raise RuntimeError(f"the page about {what} broke")


def canary(request: HttpRequest) -> HttpResponse:
    customer = {"name": CANARY[0], "email": CANARY[1], "phone": CANARY[2], "postcode": CANARY[3]}
    note = f"{CANARY[0]} <{CANARY[1]}> {CANARY[2]} {CANARY[3]}"
    list(Service.objects.filter(name=CANARY[0], slug=CANARY[4]))
    try:
        raise ValueError(note)
    except ValueError as error:
        error.add_note(note)
        raise KeyError(customer["name"], note, request.GET, request.POST) from error


def logs_an_error(request: HttpRequest) -> HttpResponse:
    structlog.get_logger("tests.broken").error("stock_ran_out", kind="screws", customer=CANARY[0])
    return HttpResponse("ok")


def handles(request: HttpRequest) -> HttpResponse:
    try:
        raise RuntimeError("the payment was refused")
    except RuntimeError as error:
        errors.capture(error, request=request)
    return HttpResponse("please pay by phone", status=502)


def outage(request: HttpRequest) -> HttpResponse:
    raise OperationalError("the database is gone")


def fine(request: HttpRequest, what: str) -> HttpResponse:
    return HttpResponse(f"the page about {what} is fine")


def queries(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{Service.objects.count()} {Service.objects.filter(active=True).count()}")


def fetches(request: HttpRequest) -> HttpResponse:
    """GET the address of PEER, with a query string."""
    answer = requests.get(os.environ["PEER"], params={"email": CANARY[1]}, timeout=5)
    return HttpResponse(answer.text)


def work(request: HttpRequest) -> HttpResponse:
    """An ordinary page that goes wrong in the way the file at FAULT names: queries, python, call or error."""
    fault = Path(os.environ["FAULT"]).read_text()
    for _ in range(500 if fault == "queries" else 3):
        list(Service.objects.filter(active=True))
    if fault == "python":
        burn(1.0)
    if fault == "call":
        requests.get(os.environ["PEER"], timeout=8)
    if fault == "error":
        raise LookupError("a part is missing")
    return HttpResponse("done")


def burn(seconds: float) -> None:
    """Use the processor, by this thread's own clock."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(1000))


def sleeps(request: HttpRequest) -> HttpResponse:
    """Takes four seconds, none of them for the database."""
    time.sleep(4)
    return HttpResponse("ok")


def holds(request: HttpRequest) -> HttpResponse:
    """Keep a database connection for a second and a half."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1.5)")
    return HttpResponse("held")


def defers(request: HttpRequest, task: str) -> HttpResponse:
    {"broken": tasks.broken, "working": tasks.working}[task].defer(service_id=1)
    return HttpResponse("deferred")


def transaction_left_open(request: HttpRequest) -> HttpResponse:
    """Wait for something else for twenty seconds, in the midst of a transaction."""
    with transaction.atomic():
        list(Service.objects.all())
        threading.Event().wait(20)
    return HttpResponse("done")


def memory(request: HttpRequest) -> HttpResponse:
    """Keep 8 MB for ever; thirty times at most, for the machine's sake."""
    if len(_kept) < 30:
        _kept.append(b"x" * 8_000_000)
    return HttpResponse("kept")
