"""What one event says: which others are of its issue, what it came from, and what went before."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError

from bookings.models import Service
from telemetry import errors
from telemetry.context import Observation, observing
from telemetry.errors import exceptions, sentry
from telemetry.logger import get_logger
from tests.peers.envelopes import running_envelopes
from tests.stack import wait_for

NAME = "Morgan Canary"


def caught(work: Callable[..., object], *values: object) -> Exception:
    try:
        work(*values)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    """Report an exception, and return the event that a Sentry server receives."""
    with running_envelopes() as envelopes:
        monkeypatch.setenv("SENTRY_DSN", envelopes.environment["SENTRY_DSN"])
        sentry.start("r7", "drill")

        def report(error: BaseException) -> dict[str, Any]:
            before = len(envelopes.events)
            errors.capture(error, handled=False)
            return wait_for("the event", lambda: envelopes.events[before:])[0]

        yield report
        errors.stop()


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
