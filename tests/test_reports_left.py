"""Error reports that do not leave before the process ends are counted."""

import socket

import pytest

from telemetry import errors
from telemetry.errors import sentry
from telemetry.metrics import catalogue


def test_reports_to_a_server_that_keeps_silent_are_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    left = catalogue.telemetry_dropped.labels("sentry", "shutdown")
    before = left._value.get()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SENTRY_DSN", f"http://key@127.0.0.1:{silent.getsockname()[1]}/7")
        sentry.start("1", "test")
        for number in range(5):
            errors.capture(type(f"Error{number}", (Exception,), {})())
        errors.stop(0.5)
    assert left._value.get() - before == 5
