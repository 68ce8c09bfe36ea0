"""Whether tracing is configured, and what OpenTelemetry's libraries would refuse of it.

They refuse late, each in its own way: an exception at import or in a constructor, a stack in the log, a default in the
place of the value. Here every refusal is a sentence that names the variable, before anything is traced.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from telemetry.conf import Kind, number, one_of, refused, whole

_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "opentelemetry.instrumentation.django")
TRACES, LOGS = "TRACES", "LOGS"
"""What is exported, as the variables name it."""
_PROCESSORS = {TRACES: "OTEL_BSP", LOGS: "OTEL_BLRP"}
_SIZES = {"MAX_QUEUE_SIZE": 2048, "MAX_EXPORT_BATCH_SIZE": 512}
"""Of a batch processor, with the SDK's defaults."""
_TIMEOUT = 5.0
"""Seconds a collector gets for one batch; loss is reported that much later."""
_SAMPLERS: tuple[str, ...] = ("always_on", "always_off", "traceidratio")
_SAMPLERS += tuple(f"parentbased_{name}" for name in _SAMPLERS)


def _kind(name: str, read: Callable[[str], object], secret: bool = False) -> Kind[Any]:
    return Kind(name, read, secret)


def _pairs(text: str) -> None:
    for pair in text.split(","):
        key, equals, _ = pair.partition("=")
        if not key.strip() or not equals:
            raise ValueError(pair)


def _file(path: str) -> None:
    Path(path).open("rb").close()


def _patterns(text: str) -> None:
    for pattern in text.split(","):
        re.compile(pattern.strip())


_FROM_1, _SECONDS = whole(1), number(0.001)
_COMPRESSION = one_of("none", "gzip", "deflate")
_PAIRS = "name=value pairs, comma-separated"
_FILE = _kind("a file that can be read", _file)
_PATTERNS = _kind("regular expressions, comma-separated", _patterns)
_LIMITS = ("ATTRIBUTE", "SPAN_ATTRIBUTE", "EVENT_ATTRIBUTE", "LINK_ATTRIBUTE", "SPAN_EVENT", "SPAN_LINK")
_VALUES: dict[str, Kind[Any]] = {
    **{f"OTEL_{name}_COUNT_LIMIT": whole(0) for name in _LIMITS},
    **{f"OTEL_{name}_VALUE_LENGTH_LIMIT": whole(0) for name in ("ATTRIBUTE", "SPAN_ATTRIBUTE")},
    "OTEL_RESOURCE_ATTRIBUTES": _kind(_PAIRS, _pairs),
    "OTEL_TRACES_SAMPLER": one_of(*_SAMPLERS),
    "OTEL_PYTHON_EXCLUDED_URLS": _PATTERNS,
    "OTEL_PYTHON_DJANGO_EXCLUDED_URLS": _PATTERNS,
    "OTEL_PYTHON_REQUESTS_EXCLUDED_URLS": _PATTERNS,
}
_EXPORTER: dict[str, Kind[Any]] = {
    "TIMEOUT": _SECONDS,
    "COMPRESSION": _COMPRESSION,
    "HEADERS": _kind(_PAIRS, _pairs, secret=True),
    **dict.fromkeys(("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"), _FILE),
}
"""Of an exporter of OTLP, for all signals or for one."""
_SHARE = {"OTEL_TRACES_SAMPLER_ARG": number(0, 1)}


def configured() -> bool:
    """Whether an exporter or an endpoint is set in the standard variables."""
    get = os.environ.get
    said = endpoint() or get("OTEL_TRACES_EXPORTER")
    return bool(said) and get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


def endpoint(signal: str = TRACES) -> str:
    """Where OTLP goes, or ""."""
    return _first("ENDPOINT", signal)


def protocol(signal: str = TRACES) -> str:
    """What OTLP is spoken over."""
    return _first("PROTOCOL", signal) or "http/protobuf"


def timeout(signal: str = TRACES) -> float | None:
    """Seconds a collector gets for a batch, less than by default; None where the variables say how many."""
    return None if _first("TIMEOUT", signal) else _TIMEOUT


def exporters(signal: str = TRACES) -> list[str]:
    """The names of the exporters, as entry points have them; OTLP by default."""
    otlp = {"grpc": "otlp_proto_grpc"}.get(protocol(signal), "otlp_proto_http")
    names = _words(f"OTEL_{signal}_EXPORTER") or ["otlp"]
    return [otlp if name == "otlp" else name for name in names if name != "none"]


def faults(signal: str = TRACES) -> list[str]:
    """What OpenTelemetry's libraries would refuse of what is set for `signal`, a sentence each."""
    if not all(map(_installed, _PACKAGES)):
        what = "Tracing is configured, but its" if signal == TRACES else "The export of logs is configured, but its"
        return [f"{what} packages are not installed (the extra `otel`)."]
    values = [*refused(_VALUES), *refused(_of(signal))]
    if os.environ.get("OTEL_TRACES_SAMPLER", "").endswith("traceidratio"):
        values += refused(_SHARE)
    return [*values, *_refused_sizes(signal), *_unreachable(signal), *_not_installed(signal)]


def _of(signal: str) -> dict[str, Kind[Any]]:
    """The variables of its batch processor and exporter."""
    batch = (*_SIZES, "SCHEDULE_DELAY", "EXPORT_TIMEOUT")
    return {
        **{f"{_PROCESSORS[signal]}_{name}": _FROM_1 for name in batch},
        **{f"{otlp}{name}": kind for otlp in _otlp(signal) for name, kind in _EXPORTER.items()},
    }


def _otlp(signal: str) -> tuple[str, str]:
    return "OTEL_EXPORTER_OTLP_", f"OTEL_EXPORTER_OTLP_{signal}_"


def unset_empty() -> None:
    """Take empty variables away: not set, by OpenTelemetry's specification, and a wrong value to its SDK."""
    for name in [name for name, value in os.environ.items() if name.startswith("OTEL_") and not value.strip()]:
        del os.environ[name]


def _refused_sizes(signal: str) -> Iterator[str]:
    sizes = {f"{_PROCESSORS[signal]}_{name}": default for name, default in _SIZES.items()}
    (most, queue), (largest, batch) = ((name, os.environ.get(name) or str(sizes[name])) for name in sizes)
    if queue.isdigit() and batch.isdigit() and int(queue) < int(batch):
        yield f"{most} ({queue}) is less than {largest} ({batch})."


def _unreachable(signal: str) -> Iterator[str]:
    if protocol(signal) not in ("http/protobuf", "grpc"):
        yield f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol(signal)!r}; it must be http/protobuf or grpc."
    to = endpoint(signal)
    if "otlp_proto_http" in exporters(signal) and to and not _is_url(to):
        yield f"{to!r} is no endpoint for OTLP over HTTP; it must be like http://host:4318."


def _not_installed(signal: str) -> Iterator[str]:
    propagators = [name for name in _words("OTEL_PROPAGATORS") if name.lower() != "none"]
    provider = _words("OTEL_PYTHON_TRACER_PROVIDER")
    detectors = [name for name in _words("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS") if name != "*"]
    credentials = [
        name for of in ("", f"{signal}_") for name in _words(f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{of}CREDENTIAL_PROVIDER")
    ]
    asked = {
        f"OTEL_{signal}_EXPORTER": (f"opentelemetry_{signal.lower()}_exporter", exporters(signal)),
        "OTEL_PROPAGATORS": ("opentelemetry_propagator", propagators),
        "OTEL_PYTHON_TRACER_PROVIDER": ("opentelemetry_tracer_provider", provider),
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": ("opentelemetry_resource_detector", detectors),
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": ("opentelemetry_otlp_credential_provider", credentials),
    }
    for variable, (group, names) in asked.items():
        for name in names:
            if not entry_points(group=group, name=name):
                said = "OTEL_EXPORTER_OTLP_PROTOCOL" if name == "otlp_proto_grpc" else variable
                yield f"{said} names {name!r}, which is not installed."


@contextmanager
def said() -> Iterator[list[str]]:
    """The warnings that OpenTelemetry logs meanwhile, which then are in no log."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(" ".join(record.getMessage().split()))

    logger, collector = logging.getLogger("opentelemetry"), Collector(logging.WARNING)
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(collector)
    try:
        yield found
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagates


def _words(variable: str) -> list[str]:
    return [*filter(None, map(str.strip, os.environ.get(variable, "").split(",")))]


def _first(name: str, signal: str) -> str:
    """A variable of OTLP: that of `signal` before that of all signals."""
    return next(filter(None, (os.environ.get(f"{otlp}{name}", "").strip() for otlp in reversed(_otlp(signal)))), "")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port, or no address
        return False


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package it would lie in
        return False
