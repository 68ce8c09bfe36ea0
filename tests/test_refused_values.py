"""A value that a library would refuse is one line of `manage.py check`, and that part stays off."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks

from telemetry import errors, traces
from telemetry.checks import check_configuration
from telemetry.conf import Configuration
from telemetry.serve import lifecycle


class Odd:
    """A value that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


NO_VALUES: list[Any] = [[], {}, object(), b"x", "two\nlines", "\udcff", float("inf"), float("nan"), 10**400, Odd(), len]
"""What no setting takes; 10**400 is a text, if a strange one."""

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
REFUSED_TRACES = {
    "a queue smaller than its batch": {"OTEL_BSP_MAX_QUEUE_SIZE": "100"},
    "a batch that is no number": {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "many"},
    "a delay that is no number": {"OTEL_BSP_SCHEDULE_DELAY": "5s"},
    "a time-out of the queue": {"OTEL_BSP_EXPORT_TIMEOUT": "soon"},
    "a time-out of the exporter": {"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"},
    "a time-out of no time": {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0"},
    "a propagator": {"OTEL_PROPAGATORS": "tracecontext,b3"},
    "an exporter": {"OTEL_TRACES_EXPORTER": "jaeger"},
    "grpc without its package": {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
    "a protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"},
    "a sampler": {"OTEL_TRACES_SAMPLER": "sometimes"},
    "a share": {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "7"},
    "a limit": {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "-1"},
    "a length": {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "long"},
    "resource attributes": {"OTEL_RESOURCE_ATTRIBUTES": "team"},
    "headers": {"OTEL_EXPORTER_OTLP_HEADERS": "Bearer of-a-secret"},
    "a compression": {"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"},
    "a certificate": {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"},
    "an expression": {"OTEL_PYTHON_DJANGO_EXCLUDED_URLS": "health(,"},
    "a detector": {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "weather"},
    "a provider": {"OTEL_PYTHON_TRACER_PROVIDER": "mine"},
    "an endpoint": {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
    "an endpoint's port": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:port"},
    "an address": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"},
}
ACCEPTED = {
    "nothing more": {},
    "empty values": dict.fromkeys(("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_TRACES_SAMPLER", "OTEL_PROPAGATORS"), ""),
    "a small batch": {"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50"},
    "another protocol for metrics": {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    },
    "what a sampler of another kind takes": {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "a=b"},
    "the console": {"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_ENDPOINT": ""},
}
REFUSED_ERRORS = {
    "no key": {"SENTRY_DSN": "https://sentry.example/7"},
    "no project": {"SENTRY_DSN": "https://key@sentry.example/"},
    "a project that is no number": {"SENTRY_DSN": "https://key@sentry.example/shop"},
    "no address": {"SENTRY_DSN": "https://key@[sentry/7"},
    "no port": {"SENTRY_DSN": "https://key@sentry.example:port/7"},
    "a share": {"SENTRY_TRACES_SAMPLE_RATE": "lots"},
    "an environment": {"SENTRY_ENVIRONMENT": "pro duction"},
    "a switch": {"SENTRY_DEBUG": "perhaps"},
}
DSN = {"SENTRY_DSN": "https://key@sentry.example/7"}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    errors.stop(0)
    traces.stop(0)


def lines() -> list[str]:
    """What `manage.py check` says of telemetry."""
    return [str(each.msg) for each in run_checks() if str(each.id).startswith("telemetry.W01")]


def refuses(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> str:
    """The one line that a start says and the check as well, without starting a thread."""
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    before = set(threading.enumerate())
    [line] = lines()
    assert set(threading.enumerate()) <= before
    assert "\n" not in line
    return line


@pytest.mark.parametrize("values", REFUSED_TRACES.values(), ids=REFUSED_TRACES)
def test_a_value_that_opentelemetry_refuses_leaves_tracing_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, values: dict[str, str]
) -> None:
    with caplog.at_level(logging.WARNING):
        line = refuses(monkeypatch, {**ENDPOINT, **values})
    assert any(name in line for name in values) or any(value in line for value in values.values())
    assert line.endswith("Tracing stays off.")
    assert "secret" not in line
    assert not [each for each in caplog.records if each.name.startswith("opentelemetry")]
    lifecycle._start_traces("shop")
    assert traces.wanted()


@pytest.mark.parametrize("values", ACCEPTED.values(), ids=ACCEPTED)
def test_what_opentelemetry_takes_is_no_fault(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in {**ENDPOINT, **values}.items():
        monkeypatch.setenv(name, value)
    assert lines() == []


@pytest.mark.parametrize("values", REFUSED_ERRORS.values(), ids=REFUSED_ERRORS)
def test_a_value_that_sentry_refuses_leaves_error_reports_off(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    line = refuses(monkeypatch, {**DSN, **values})
    assert any(name in line for name in values)
    assert line.endswith("Error reports stay off.")
    lifecycle._start_errors()
    assert not errors.reporting()


def test_what_no_rule_knows_is_said_in_the_librarys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise TypeError("of tomorrow's\nversion")

    monkeypatch.setattr("telemetry.traces.opentelemetry.rehearse", refuse)
    line = refuses(monkeypatch, {**ENDPOINT, "OTEL_OF_TOMORROW": "yes"})
    assert "TypeError: of tomorrow's version" in line


@pytest.mark.parametrize(
    "declared",
    [
        {"METRICS_PORT": float("inf")},
        {"METRICS_PORT": ["9091"]},
        {"RUM_RATE": "nan"},
        {"LOG_FORMAT": object()},
        ["a list"],
        7,
    ],
)
def test_no_value_of_whatever_type_raises(settings: pytest.FixtureRequest, declared: object) -> None:
    settings.TELEMETRY = declared  # type: ignore[attr-defined]  # pytest-django's
    conf = Configuration()
    assert len(conf.problems()) == 1
    assert conf.metrics_port
    assert conf.unknown() == []


def test_none_is_not_given(settings: pytest.FixtureRequest) -> None:
    settings.TELEMETRY = {"RELEASE": None}  # type: ignore[attr-defined]  # as above
    assert Configuration().release == "development"


OURS, DERIVED = "telemetry.middleware.ObservingMiddleware", "tests.packages.middleware.ShopMiddleware"


@pytest.mark.parametrize(
    ("middleware", "missed"), [([OURS], False), ((DERIVED,), False), ([], True), (["nowhere.Middleware"], True)]
)
def test_a_host_without_the_middleware_is_told(
    settings: pytest.FixtureRequest, middleware: list[str], missed: bool
) -> None:
    settings.MIDDLEWARE = middleware  # type: ignore[attr-defined]  # as above
    assert [each.id for each in check_configuration(None)] == ["telemetry.W020"] * missed


@pytest.mark.parametrize("value", NO_VALUES, ids=lambda value: type(value).__name__)
def test_a_wrong_value_of_any_setting_is_one_line_and_its_default(value: Any, settings: Any) -> None:
    for setting in Configuration().describe():
        if setting.kind.name in ("a line of text", "16 characters or more") and isinstance(value, int | float):
            continue
        settings.TELEMETRY = {"ENABLED" if setting.key == "TELEMETRY" else setting.key: value}
        [problem] = [str(each) for each in Configuration().problems()]
        assert problem.startswith(f"{setting.key} is ")
        assert "settings.TELEMETRY; it must be" in problem
        assert len(problem) < 250
        assert "\n" not in problem


@pytest.mark.parametrize(("key", "value"), [("METRICS_PORT", 9100.5), ("METRICS_PORT", True), ("RUM_RATE", False)])
def test_a_value_that_is_nearly_one_is_not_taken_for_another(key: str, value: object, settings: Any) -> None:
    settings.TELEMETRY = {key: value}
    assert [problem.key for problem in Configuration().problems()] == [key]
