"""What a browser says the content security policy stopped: counted by directive, told once per kind.

Two shapes of the same: `report-uri` sends `{"csp-report": {...}}`, the Reporting API a list of `{"type", "body"}`.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog

from telemetry.metrics import catalogue
from telemetry.observe.routes import route_of_path
from telemetry.rum.beacon import MalformedBeacon
from telemetry.rum.tokens import OTHER

CONTENT_TYPES = frozenset({"application/csp-report", "application/reports+json"})
MOST_REPORTS = 50
MOST_KINDS = 200
"""Different violations one process tells of; what comes after is only counted."""

_DIRECTIVES = frozenset(
    f"{kind}-src{suffix}"
    for kind in ("default", "script", "style", "img", "font", "connect", "media", "object", "frame", "worker", "child")
    for suffix in ("", "-elem", "-attr")
) | {"base-uri", "form-action", "frame-ancestors", "manifest-src", "require-trusted-types-for", "trusted-types"}
_KEYWORDS = frozenset({"inline", "eval", "wasm-eval", "self", "data", "blob", "trusted-types-sink"})

log = structlog.get_logger("telemetry.rum")
_told: set["Violation"] = set()


@dataclass(frozen=True, slots=True)
class Violation:
    """`blocked` is a keyword or an origin, `route` the page's template: what to mend, and no address."""

    directive: str
    blocked: str
    route: str


def parse(body: bytes) -> list[Violation]:
    """The violations in a report's body. Raises MalformedBeacon."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBeacon("not JSON") from error
    reports: list[Any]
    if isinstance(data, dict):
        reports = [data.get("csp-report")]
    elif isinstance(data, list):
        bodies = [each for each in data[:MOST_REPORTS] if isinstance(each, dict)]
        reports = [each.get("body") for each in bodies if each.get("type") == "csp-violation"]
    else:
        raise MalformedBeacon("neither an object nor a list")
    if not all(isinstance(report, dict) for report in reports):
        raise MalformedBeacon("a report is not an object")
    return [_violation(report) for report in reports if not _of_an_extension(report)]


def project(violations: list[Violation]) -> None:
    """Count each; say what is new to this process."""
    for violation in violations:
        catalogue.rum_csp_violations.labels(violation.directive).inc()
        if violation not in _told and len(_told) < MOST_KINDS:
            _told.add(violation)
            log.warning(
                "csp_violation", directive=violation.directive, blocked=violation.blocked, route=violation.route
            )


def _violation(report: dict[str, Any]) -> Violation:
    directive = _text(report, "effective-directive", "effectiveDirective", "violated-directive").partition(" ")[0]
    page = _split(_text(report, "document-uri", "documentURL"))
    return Violation(
        directive if directive in _DIRECTIVES else OTHER,
        _origin(_text(report, "blocked-uri", "blockedURL")),
        route_of_path(page.path) if page and page.path else OTHER,
    )


def _of_an_extension(report: dict[str, Any]) -> bool:
    """What the browser's owner has installed runs into the policy too: not ours to mend."""
    named = _text(report, "source-file", "sourceFile"), _text(report, "blocked-uri", "blockedURL")
    return any("-extension" in name.partition(":")[0] for name in named)


def _origin(blocked: str) -> str:
    if blocked in _KEYWORDS:
        return blocked
    parts = _split(blocked)
    if parts is None or not parts.scheme.isalnum() or len(parts.scheme) > 10:
        return OTHER
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2][:80]}" if parts.netloc else parts.scheme


def _split(address: str) -> Any:
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _text(report: dict[str, Any], *names: str) -> str:
    """The first of the names that holds a text, cut to 500 characters."""
    return next((value[:500] for name in names if isinstance(value := report.get(name), str)), "")
