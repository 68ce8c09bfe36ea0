"""What one event says: which others are of its issue, what it came from, and what went before."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from django.core import signals
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.jobs import Job
from procrastinate.worker import Worker

from bookings.models import Service
from harness.peers.envelopes import Envelopes, running_envelopes
from harness.stack import wait_for
from telemetry import background, errors
from telemetry.context import Observation, observing
from telemetry.contrib.procrastinate import jobs
from telemetry.errors import exceptions, sentry
from telemetry.logger import get_logger
from telemetry.middleware import ObservingMiddleware

NAME = "Morgan Canary"


def caught(work: Callable[..., object], *values: object) -> Exception:
    try:
        work(*values)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture
def envelopes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Envelopes]:
    """What a Sentry server receives of this process."""
    with running_envelopes() as received:
        monkeypatch.setenv("SENTRY_DSN", received.environment["SENTRY_DSN"])
        sentry.start("r7", "drill")
        yield received
        errors.stop()


@pytest.fixture
def reported(envelopes: Envelopes) -> Callable[..., dict[str, Any]]:
    """Report an exception, and return the event that a Sentry server receives."""

    def report(error: BaseException) -> dict[str, Any]:
        before = len(envelopes.events)
        errors.capture(error, handled=False)
        return wait_for("the event", lambda: envelopes.events[before:])[0]

    return report


def refuse(name: str) -> None:
    if name == "first":
        raise ValueError(name)
    raise ValueError(name)


def look_up(words: dict[str, int], name: str) -> int:
    return words[name]


def otherwise(words: dict[str, int], name: str) -> int:
    return words.get("x", 0) + words[name]


def test_one_error_is_one_issue_whoever_calls_and_whatever_it_is_about() -> None:
    def elsewhere() -> None:
        refuse("Morgan")

    same = exceptions.fingerprint(caught(refuse, "Alex"))
    assert exceptions.fingerprint(caught(refuse, "Robin")) == same
    assert exceptions.fingerprint(caught(elsewhere)) == same
    assert not any("Alex" in part or part.isdigit() for part in same)


def test_two_errors_are_two_issues() -> None:
    found = [
        caught(refuse, "first"),
        caught(refuse, "second"),  # the same class in the same function
        caught(look_up, {}, NAME),
        caught(otherwise, {}, NAME),
        caught(json.loads, NAME),  # the same place within a library
        caught(lambda: json.loads(NAME)),
        *(refused(by) for by in (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation)),
    ]
    assert len({tuple(exceptions.fingerprint(error)) for error in found}) == len(found)


def refused(by: type[psycopg.Error]) -> Exception:
    """What Django makes of an error of the driver."""

    def execute() -> None:
        raise IntegrityError(NAME) from by(NAME)

    return caught(execute)


def test_a_group_comes_with_its_children_and_what_they_came_from(reported: Callable[..., dict[str, Any]]) -> None:
    def work() -> None:
        raise ExceptionGroup("two failed", [refused(psycopg.errors.UniqueViolation), caught(look_up, {}, NAME)])

    values = reported(caught(work))["exception"]["values"][::-1]
    assert [value["type"] for value in values] == ["ExceptionGroup", "IntegrityError", "KeyError", "UniqueViolation"]
    links = [(v["mechanism"].get("parent_id"), v["mechanism"].get("source")) for v in values]
    assert links == [(None, None), (0, "exceptions[0]"), (0, "exceptions[1]"), (1, "__cause__")]
    assert [value["mechanism"]["exception_id"] for value in values] == [0, 1, 2, 3]
    assert values[0]["mechanism"]["is_exception_group"] is True
    assert NAME not in json.dumps([value["value"] for value in values])


@pytest.mark.django_db
def test_it_says_what_went_before_by_name_alone(reported: Callable[..., dict[str, Any]]) -> None:
    with observing(Observation("the-request-0001")):
        list(Service.objects.filter(name=NAME))
        get_logger("shop").info("basket_filled", customer=NAME)
        logging.getLogger("library").warning("No answer from %s", NAME)
        logging.getLogger("library").warning(f"No answer from {NAME}")
        event = reported(caught(refuse, NAME))
    steps = [(step["category"], step["message"], step["level"]) for step in event["breadcrumbs"]["values"]]
    assert steps == [
        ("query", "SELECT bookings_service", "info"),
        ("log", "basket_filled", "info"),
        ("log", "No answer from %s", "warning"),
        ("log", "a line of library", "warning"),
    ]
    assert NAME not in json.dumps(event["breadcrumbs"])


def test_it_counts_the_requests_of_a_release_by_minute(
    envelopes: Envelopes, rf: RequestFactory, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        if request.path == "/meets/":
            errors.capture(LookupError("of a supplier"))
        if request.path == "/breaks/":
            try:
                raise RuntimeError("the page broke")
            except RuntimeError:
                signals.got_request_exception.send(sender=None, request=request)
            return HttpResponse(status=500)
        return HttpResponse()

    now = 1_800_000_000.0 // 60 * 60
    monkeypatch.setattr(time, "time", lambda: now)
    watched = ObservingMiddleware(view)
    with signals_of(watched):
        for path in ("/", "/", "/meets/", "/breaks/"):
            watched(rf.get(path)).close()
        now += 60
        watched(rf.get("/")).close()
    errors.stop()
    first, second = envelopes.others["sessions"]
    assert first["attrs"] == second["attrs"] == {"release": "r7", "environment": "drill"}
    assert first["aggregates"] == [{"started": "2027-01-15T08:00:00Z", "exited": 2, "errored": 1, "crashed": 1}]
    assert second["aggregates"] == [{"started": "2027-01-15T08:01:00Z", "exited": 1}]


@contextmanager
def signals_of(middleware: ObservingMiddleware) -> Iterator[None]:
    signals.got_request_exception.connect(middleware.process_got_request_exception)
    yield
    signals.got_request_exception.disconnect(middleware.process_got_request_exception)


def test_each_periodic_task_of_the_site_checks_in_with_its_crontab(envelopes: Envelopes) -> None:
    periodic = app.periodic_registry.periodic_tasks.values()
    for each in periodic:
        job = Job(
            id=1,
            queue="default",
            lock=None,
            queueing_lock=None,
            task_name=each.task.name,
            task_kwargs={"timestamp": 1_800_000_000},
        )
        jobs.observe(lambda: None, cast(JobContext, SimpleNamespace(job=job, app=app)), cast(Worker, None))
    errors.stop()
    told = {
        check_in["monitor_slug"]: check_in["monitor_config"]["schedule"]["value"]
        for check_in in envelopes.others["check_in"]
    }
    assert told == {each.task.name.replace(".", "-"): each.cron for each in periodic}
    assert len(told) >= 8


def test_a_periodic_task_checks_in_when_it_begins_and_ends(envelopes: Envelopes) -> None:
    with background.running("shop.sweep", {}, system="queue", schedule="0 3 * * *"):
        pass
    with pytest.raises(LookupError), background.running("shop.sweep", {}, system="queue", schedule="0 3 * * *"):
        raise LookupError(NAME)
    with background.running("shop.ship", {}, system="queue"):
        pass
    errors.stop()
    told = envelopes.others["check_in"]
    assert [each["status"] for each in told] == ["in_progress", "ok", "in_progress", "error"]
    assert told[0]["check_in_id"] == told[1]["check_in_id"] != told[2]["check_in_id"] == told[3]["check_in_id"]
    assert {each["monitor_slug"] for each in told} == {"shop-sweep"}
    assert told[0]["monitor_config"]["schedule"] == {"type": "crontab", "value": "0 3 * * *"}
    assert told[1]["duration"] >= 0
    [event] = envelopes.events
    assert event["exception"]["values"][0]["mechanism"]["handled"] is False
