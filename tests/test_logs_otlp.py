"""Log lines as an OpenTelemetry collector receives them, by OpenTelemetry's log data model."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from opentelemetry.trace import get_current_span

from harness.peers.collector import Collector, Record
from harness.stack import Stack, wait_for
from telemetry.logs import opentelemetry, otlp
from telemetry.metrics import catalogue
from tests.broken import CANARY

LINE = {
    "event": "db_query_slow",
    "message": "A query was slow.",
    "level": "warning",
    "logger": "telemetry.queries",
    "timestamp": "2026-11-26T10:11:12.345678Z",
    "pid": 17,
    "trace_id": "a" * 32,
    "span_id": "b" * 16,
    "trace_sampled": True,
    "query": "SELECT shop_order",
    "duration_ms": 512.5,
    "job_ids": [1, 2],
    "reason": None,
    "error_type": "PoolTimeout",
}


def test_a_line_is_a_record_of_the_log_data_model() -> None:
    record = opentelemetry.record(LINE)
    assert (record.body, record.event_name) == ("A query was slow.", "db_query_slow")
    assert record.timestamp == 1795687872_345_678_000 == _nanoseconds(str(LINE["timestamp"]))
    assert record.observed_timestamp is not None
    assert record.context is not None
    span = get_current_span(record.context).get_span_context()
    assert (f"{span.trace_id:x}", f"{span.span_id:x}", span.trace_flags.sampled) == ("a" * 32, "b" * 16, True)
    assert record.attributes == {
        "query": "SELECT shop_order",
        "duration_ms": 512.5,
        "job_ids": [1, 2],
        "error.type": "PoolTimeout",
    }


def _nanoseconds(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * 1e6) * 1000


@pytest.mark.parametrize(
    ("level", "number", "text"),
    [
        ("debug", 5, "DEBUG"),
        ("info", 9, "INFO"),
        ("warning", 13, "WARN"),
        ("error", 17, "ERROR"),
        ("critical", 21, "FATAL"),
    ],
)
def test_a_level_is_a_severity(level: str, number: int, text: str) -> None:
    record = opentelemetry.record({**LINE, "level": level})
    assert record.severity_number is not None
    assert (record.severity_number.value, record.severity_text) == (number, text)


def test_an_exception_has_the_names_of_the_conventions() -> None:
    record = opentelemetry.record({**LINE, "exception": "Traceback …"})
    attributes = record.attributes or {}
    assert (attributes["exception.type"], attributes["exception.stacktrace"]) == ("PoolTimeout", "Traceback …")
    assert "error.type" not in attributes


def test_a_librarys_template_is_no_name_of_an_event() -> None:
    record = opentelemetry.record({**LINE, "event": "closing %s of %s", "message": "closing 1 of 2"})
    assert (record.body, record.event_name) == ("closing 1 of 2", None)


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"ENDPOINT": "http://collector:4318"}, False),
        ({"LOGS_ENDPOINT": "http://collector:4318/v1/logs"}, True),
        ({"LOGS_EXPORTER": "otlp"}, True),
        ({"LOGS_EXPORTER": "none", "LOGS_ENDPOINT": "http://collector:4318/v1/logs"}, False),
    ],
)
def test_lines_leave_only_when_logs_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], on: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_{'' if name == 'LOGS_EXPORTER' else 'EXPORTER_OTLP_'}{name}", value)
    assert otlp.configured() is on
    assert list(otlp.faults()) == []


def test_a_wrong_variable_for_logs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp,carrier_pigeon")
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "none")
    [size, exporter] = otlp.faults()
    assert size.startswith("OTEL_BLRP_MAX_QUEUE_SIZE")
    assert exporter == "OTEL_LOGS_EXPORTER names 'carrier_pigeon', which is not installed."


def test_a_collector_that_never_answers_costs_the_oldest_lines_only(
    monkeypatch: pytest.MonkeyPatch, black_hole: int
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"http://127.0.0.1:{black_hole}/v1/logs")
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "20")
    monkeypatch.setenv("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "10")
    full = catalogue.telemetry_dropped.labels("logs", "queue_full")
    before = full._value.get()
    records = opentelemetry.ExportedRecords("shop")
    for _ in range(100):
        records.emit(dict(LINE))
    assert full._value.get() - before >= 60
    left = catalogue.telemetry_dropped.labels("logs", "shutdown")
    before = left._value.get()
    records.stop(0.1)
    assert left._value.get() - before in (10, 20), "the collector holds one batch, or all that came"


def test_the_sites_lines_arrive_as_they_are_written(stack: Callable[..., Stack], collector: Collector) -> None:
    env = {
        **collector.environment,
        "DJANGO_SETTINGS_MODULE": "tests.broken.settings",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
    }
    site = stack(env=env, workers=2)
    assert site.get(f"/broken/queries/?email={CANARY[1]}", headers={"User-Agent": CANARY[0]})[0] == 200
    assert site.get("/broken/raise/kettle/")[0] == 500
    [failed] = wait_for("the record", lambda: collector.logged("request_failed"))

    def pages() -> list[Record]:
        finished = collector.logged("request_finished")
        return [record for record in finished if record.attributes["route"].startswith("/broken/")]

    wait_for("the lines of both", lambda: len(pages()) == 2)
    lines = {line["request_id"]: line for line in site.log_events("request_finished")}
    for record in pages():
        line: dict[str, Any] = lines[record.attributes["request_id"]]
        assert (record.trace_id, record.span_id, record.sampled) == (line["trace_id"], line["span_id"], True)
        assert record.time == _nanoseconds(line["timestamp"])
        assert (record.attributes["route"], record.scope) == (line["route"], line["logger"])
        assert record.resource["process.pid"] == line["pid"]
        who = {"service.name", "service.version", "deployment.environment.name"}
        assert {name: record.resource[name] for name in who} == {name: line[name] for name in who}
    assert failed.severity == (17, "ERROR")
    assert failed.attributes["exception.type"] == "RuntimeError"
    assert "Traceback" in failed.attributes["exception.stacktrace"]
    for secret in (*CANARY[:2], "kettle"):
        assert secret not in "".join(collector.text)
    assert not [record for record in collector.records if record.scope.startswith(("opentelemetry", "urllib3"))]
