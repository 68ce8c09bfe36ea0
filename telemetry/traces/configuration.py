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
_QUEUE, _BATCH = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_SIZES = {_QUEUE: 2048, _BATCH: 512}
"""Of the batch processor, with the SDK's defaults."""
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
_PAIRS = "name=value pairs, parted by commas"
_FILE = _kind("a file that can be read", _file)
_PATTERNS = _kind("regular expressions, parted by commas", _patterns)
_OTLP = ("OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_")
_LIMITS = ("ATTRIBUTE", "SPAN_ATTRIBUTE", "EVENT_ATTRIBUTE", "LINK_ATTRIBUTE", "SPAN_EVENT", "SPAN_LINK")
_VALUES: dict[str, Kind[Any]] = {
    **dict.fromkeys((_QUEUE, _BATCH, "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"), _FROM_1),
    **{f"OTEL_{name}_COUNT_LIMIT": whole(0) for name in _LIMITS},
    **{f"OTEL_{name}_VALUE_LENGTH_LIMIT": whole(0) for name in ("ATTRIBUTE", "SPAN_ATTRIBUTE")},
    **{f"{otlp}TIMEOUT": _SECONDS for otlp in _OTLP},
    **{f"{otlp}COMPRESSION": _COMPRESSION for otlp in _OTLP},
    **{f"{otlp}HEADERS": _kind(_PAIRS, _pairs, secret=True) for otlp in _OTLP},
    **{f"{otlp}{file}": _FILE for otlp in _OTLP for file in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")},
    "OTEL_RESOURCE_ATTRIBUTES": _kind(_PAIRS, _pairs),
    "OTEL_TRACES_SAMPLER": one_of(*_SAMPLERS),
    "OTEL_PYTHON_EXCLUDED_URLS": _PATTERNS,
    "OTEL_PYTHON_DJANGO_EXCLUDED_URLS": _PATTERNS,
    "OTEL_PYTHON_REQUESTS_EXCLUDED_URLS": _PATTERNS,
}
_SHARE = {"OTEL_TRACES_SAMPLER_ARG": number(0, 1)}


def configured() -> bool:
    """Whether an exporter or an endpoint is set in the standard variables."""
    get = os.environ.get
    said = endpoint() or get("OTEL_TRACES_EXPORTER")
    return bool(said) and get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


def endpoint() -> str:
    """Where OTLP goes, or ""."""
    return _first("ENDPOINT")


def protocol() -> str:
    """What OTLP is spoken over."""
    return _first("PROTOCOL") or "http/protobuf"


def exporters() -> list[str]:
    """The names of the exporters, as entry points have them; OTLP by default."""
    otlp = {"grpc": "otlp_proto_grpc"}.get(protocol(), "otlp_proto_http")
    return [otlp if name == "otlp" else name for name in _words("OTEL_TRACES_EXPORTER") or ["otlp"] if name != "none"]


def faults() -> list[str]:
    """What OpenTelemetry's libraries would refuse of what is set, a sentence each."""
    if not all(map(_installed, _PACKAGES)):
        return ["Tracing is configured, but its packages are not installed (the extra `otel`)."]
    values = [*refused(_VALUES)]
    if os.environ.get("OTEL_TRACES_SAMPLER", "").endswith("traceidratio"):
        values += refused(_SHARE)
    return [*values, *_refused_sizes(), *_unreachable(), *_not_installed()]


def unset_empty() -> None:
    """Take empty variables away: not set, by OpenTelemetry's specification, and a wrong value to its SDK."""
    for name in [name for name, value in os.environ.items() if name.startswith("OTEL_") and not value.strip()]:
        del os.environ[name]


def _refused_sizes() -> Iterator[str]:
    queue, batch = (os.environ.get(name) or str(default) for name, default in _SIZES.items())
    if queue.isdigit() and batch.isdigit() and int(queue) < int(batch):
        yield f"{_QUEUE} ({queue}) is less than {_BATCH} ({batch})."


def _unreachable() -> Iterator[str]:
    if protocol() not in ("http/protobuf", "grpc"):
        yield f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol()!r}; it must be http/protobuf or grpc."
    if "otlp_proto_http" in exporters() and endpoint() and not _is_url(endpoint()):
        yield f"{endpoint()!r} is no endpoint for OTLP over HTTP; it must be like http://host:4318."


def _not_installed() -> Iterator[str]:
    propagators = [name for name in _words("OTEL_PROPAGATORS") if name.lower() != "none"]
    provider = _words("OTEL_PYTHON_TRACER_PROVIDER")
    detectors = [name for name in _words("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS") if name != "*"]
    credentials = [
        name for of in ("", "TRACES_") for name in _words(f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{of}CREDENTIAL_PROVIDER")
    ]
    asked = {
        "OTEL_TRACES_EXPORTER": ("opentelemetry_traces_exporter", exporters()),
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


def _first(name: str) -> str:
    """A variable of OTLP: that of traces before that of all signals."""
    return next(filter(None, (os.environ.get(f"{otlp}{name}", "").strip() for otlp in reversed(_OTLP))), "")


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
