"""Log lines of libraries: their template, and nothing of what was put into it."""

import json
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from telemetry import redaction
from telemetry.conf import conf
from telemetry.logs import lines as lines_module
from telemetry.logs.handler import LineHandler


def test_it_formats_a_library_s_template_and_not_what_was_put_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "kettles")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=pans,deployment.environment.name=staging%2F2")
    conf.forget()
    from telemetry.logs.setup import install

    root, kept = logging.getLogger(), logging.getLogger().handlers[:]
    try:
        install()
        formatter = next(each.formatter for each in root.handlers if isinstance(each, LineHandler))
        assert formatter is not None
        record = logging.makeLogRecord(
            {"name": "axes.watch", "msg": "Login of %s failed", "args": ("Morgan Canary",), "levelname": "WARNING"}
        )
        line = json.loads(formatter.format(record))
    finally:
        root.handlers[:] = kept
    assert (line["event"], line["message"]) == ("Login of %s failed", "Login of … failed")
    assert line["service.name"] == "kettles"
    assert (line["service.version"], line["deployment.environment.name"]) == ("development", "staging/2")
    assert {"timestamp", "level", "logger", "pid"} <= line.keys()


@pytest.mark.parametrize(
    ("template", "arguments", "said"),
    [
        ("Login of %s failed", ("Morgan Canary",), "Login of … failed"),
        ("%r took %d ms, %.1f%% of it waiting", ("Morgan", 12, 99.5), "… took 12 ms, 99.5% of it waiting"),
        ("call failed: %s", (TimeoutError("to morgan.canary@example.com"),), "call failed: TimeoutError"),
        ("%(name)s is a %(kind)s", ({"name": "Morgan", "kind": int},), "… is a int"),
        ("row %d is odd", ("Morgan",), "row … is odd"),
        ("no arguments, 100 %", (), "no arguments, 100 %"),
    ],
)
def test_it_fills_a_library_s_message_with_what_names_nobody(
    template: str, arguments: tuple[object, ...], said: str
) -> None:
    record = logging.LogRecord("library", logging.INFO, "", 1, template, arguments, None)
    assert redaction.filled(template, record.args) == said


def test_a_terminal_shows_the_message_and_not_the_template() -> None:
    shown = lines_module.show_message(None, "warning", {"event": "error connecting in %r", "message": "error …"})
    assert shown == {"event": "error …"}


def test_it_says_nothing_of_a_client_that_does_not_read() -> None:
    from telemetry.contrib.gunicorn import records
    from telemetry.logs.setup import DuplicateEventFilter

    records.register()

    def told(error: Exception) -> bool:
        record = logging.makeLogRecord({"name": "gunicorn.error", "exc_info": (type(error), error, None)})
        return bool(DuplicateEventFilter().filter(record))

    assert not told(BlockingIOError(11, "Resource temporarily unavailable"))
    assert told(OSError(5, "Input/output error"))


def test_it_reaches_loggers_that_were_made_before_it_was_set_up_again() -> None:
    from telemetry.logs.setup import install

    log, kept = structlog.get_logger("tests.before"), logging.getLogger().handlers[:]
    log.info("made")
    try:
        install()
        with capture_logs() as lines:
            log.info("told")
    finally:
        logging.getLogger().handlers[:] = kept
    assert [line["event"] for line in lines] == ["told"]
