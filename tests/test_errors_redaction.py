"""What leaves with an error: words of the source, and nothing that was put in at run time."""

import json
import os
import time
from collections.abc import Callable
from datetime import date

import psycopg
import pytest
from django.core.exceptions import DisallowedHost
from django.db import IntegrityError
from django.http.request import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import redaction

NAME = "Morgan Example"


def caught(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_it_keeps_a_message_that_stands_in_the_source() -> None:
    def fail() -> None:
        raise ValueError("the diary is closed")

    assert redaction.message(caught(fail)) == "the diary is closed"


@pytest.mark.timing
def test_it_takes_no_longer_for_what_a_client_made_to_be_slow() -> None:
    def fail() -> None:
        raise ValueError("odd: %s, %s, %s, %s, %s, %s done" % (("," * 9,) * 6))

    def hostile() -> None:
        raise ValueError(("odd: %s, %s, %s, %s, %s, %s done" % ((", " * 500,) * 6)) + "!")

    assert redaction.message(caught(fail)) == "odd: …, …, …, …, …, … done"
    began = time.perf_counter()
    redaction.message(caught(hostile))
    assert time.perf_counter() - began < 0.5


def test_it_leaves_a_gap_where_a_value_was_formatted_in() -> None:
    def formatted(name: str) -> None:
        raise ValueError(f"no slot for {name} on that day")

    def percent(name: str) -> None:
        raise ValueError("no slot for %s on that day" % name)  # noqa: UP031  # the form under test

    def braces(name: str) -> None:
        raise ValueError("no slot for {who} on that day".format(who=name))  # noqa: UP032  # the form under test

    for fail in (formatted, percent, braces):
        assert redaction.message(caught(lambda fail=fail: fail(NAME))) == "no slot for … on that day"  # type: ignore[misc] # a default, not a parameter


def test_it_keeps_nothing_of_a_message_made_elsewhere() -> None:
    def fail(text: str) -> None:
        raise ValueError(text)

    assert redaction.message(caught(lambda: fail(f"{NAME} called 020 7946 0123"))) == redaction.WITHHELD
    assert redaction.message(caught(lambda: {}[NAME])) == redaction.WITHHELD  # type: ignore[index] # on purpose


def test_it_keeps_what_an_error_says_beside_its_text() -> None:
    assert redaction.message(caught(lambda: None.diary)) == "'diary'"  # type: ignore[attr-defined] # on purpose
    host = HttpRequest()
    host.META = {"HTTP_HOST": f"{NAME}.example.com", "SERVER_NAME": "x", "SERVER_PORT": "80"}
    error = caught(host.get_host)
    assert isinstance(error, DisallowedHost)
    assert NAME not in redaction.message(error)


def test_it_names_the_constraint_and_not_the_row() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("CREATE TEMPORARY TABLE canary (email text CONSTRAINT one_each PRIMARY KEY)")
        connection.execute("INSERT INTO canary VALUES ('morgan@example.com')")
        error = caught(lambda: connection.execute("INSERT INTO canary VALUES ('morgan@example.com')"))
    assert "morgan" in str(error)
    assert redaction.message(error) == "UniqueViolation 23505 one_each canary"
    wrapped = IntegrityError("of morgan@example.com")
    wrapped.__cause__ = error
    assert redaction.message(wrapped) == "UniqueViolation 23505 one_each canary"


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: int(NAME), "invalid literal for int() with base 10: …"),
        (lambda: float(NAME), "could not convert string to float: …"),
        (lambda: [][3], "list index out of range"),
        (lambda: [].pop(), "pop from empty list"),
        (lambda: 1 / 0, "division by zero"),
        (lambda: NAME + 1, 'can only concatenate str (not "int") to str'),  # type: ignore[operator]  # on purpose
        (lambda: NAME < 1, "'<' not supported between instances of 'str' and 'int'"),  # type: ignore[operator]  # on purpose
        (lambda: len(1), "object of type 'int' has no len()"),  # type: ignore[arg-type]  # on purpose
        (lambda: NAME(), "'str' object is not callable"),  # type: ignore[operator]  # on purpose
        (lambda: NAME["x"], "string indices must be integers, not 'str'"),  # type: ignore[index]  # on purpose
        (lambda: dict(**{NAME: 1}, **{NAME: 2}), "dict() got multiple values for keyword argument …"),
        (lambda: (lambda a: a)(), "missing 1 required positional argument: 'a'"),  # type: ignore[call-arg]  # on purpose
        (lambda: (lambda a: a)(**{NAME: 1}), "got an unexpected keyword argument …"),  # type: ignore[arg-type]  # on purpose
        (lambda: b"Morgan\xff".decode(), "'utf-8' codec can't decode byte … in position"),
        (
            lambda: "é".encode("ascii"),
            "'ascii' codec can't encode character …",
        ),
        (lambda: json.loads(NAME), "Expecting value…"),
        (lambda: json.dumps(object()), "Object of type … is not JSON serializable"),
        (lambda: date.fromisoformat(NAME), "Invalid isoformat string: …"),
        (lambda: os.stat(f"/{NAME}"), "[Errno 2] No such file or directory"),
    ],
)
def test_it_keeps_what_python_says_without_the_value(work: Callable[[], object], said: str) -> None:
    told = redaction.message(caught(work))
    assert said in told
    assert "Morgan" not in told


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "Z")), min_size=4, max_size=60))
def test_it_never_lets_a_value_through(value: str) -> None:
    def fail() -> None:
        raise LookupError(f"<<{value}>>")

    assert redaction.message(caught(fail)) == redaction.WITHHELD


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no reply to morgan@example.com today", "no reply to [e-mail] today"),
        ("call 07700 900123 or +44 20 7946 0958", "call [number] or [number]"),
        ("flat 2, SW1A 1AA, London", "flat 2, [postcode], London"),
        ("GET https://example.com/b/?token=1 failed", "GET https://example.com/b/ failed"),
        ("bad link eyJhbGciOiJIUzI1NiIsInR5cCI6", "bad link [token]"),
        (
            "Cannot read properties of undefined (reading 'slot')",
            "Cannot read properties of undefined (reading 'slot')",
        ),
    ],
)
def test_it_cleans_a_browsers_words_by_pattern(text: str, kept: str) -> None:
    assert redaction.text(text) == kept
