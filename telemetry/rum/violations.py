"""What a browser says the content security policy stopped: counted by directive, logged once per kind.

Two shapes of the same: `report-uri` sends `{"csp-report": {...}}`, the Reporting API a list of `{"type", "body"}`.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from telemetry import shared_table
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.observe.routes import route_of_path
from telemetry.rum import shares
from telemetry.rum.beacon import MalformedBeacon
from telemetry.rum.tokens import OTHER, PageToken

CONTENT_TYPES = frozenset({"application/csp-report", "application/reports+json"})
MOST_REPORTS = 50
MOST_KINDS = 500
"""Different violations one process remembers to have logged; the one that was not seen longest is forgotten first."""
MOST_LINES, MOST_LINES_OF_ALL = 15, 200
"""Log lines about one client's violations within RUM_CLIENT_WINDOW, and about everybody's in an hour: those of pages
that vouch for theirs, and the others, apart."""

_DIRECTIVES = frozenset(
    f"{kind}-src{suffix}"
    for kind in ("default", "script", "style", "img", "font", "connect", "media", "object", "frame", "worker", "child")
    for suffix in ("", "-elem", "-attr")
) | {"base-uri", "form-action", "frame-ancestors", "manifest-src", "require-trusted-types-for", "trusted-types"}
_BITS = {name: 1 << place for place, name in enumerate(sorted({*_DIRECTIVES, OTHER}))}
_KEYWORDS = frozenset({"inline", "eval", "wasm-eval", "self", "data", "blob", "trusted-types-sink"})

log = get_logger("telemetry.rum")
_logged = OrderedDict[tuple["Violation", bool], None]()


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


def project(found: list[Violation], page: PageToken, client: str) -> None:
    """Count what a page vouches for, once for each client, page and directive; log what is new to this process.

    `page` is UNVERIFIED where none does; `client` is the address it came from.
    """
    if page.verified:
        named = {violation.directive: _BITS[violation.directive] for violation in found}
        admitted = shares.first(client, f"csp {page.route}", sum(named.values())) if named else 0
        for directive in (name for name, bit in named.items() if bit & admitted):
            catalogue.rum_csp_violations.labels(directive).inc()
    elif found:
        catalogue.rum_unverified.labels("csp").inc(len(found))
    for violation in found:
        _log(replace(violation, route=page.route) if page.verified else violation, page.verified, client)


def _log(violation: Violation, vouched: bool, client: str) -> None:
    """One line for each kind, within what the client and all of its sort may have: no flood silences others."""
    if (violation, vouched) in _logged:
        _logged.move_to_end((violation, vouched))
    elif shares.within(client, "csp lines", MOST_LINES) and shared_table.among(
        f"csp lines {vouched}", MOST_LINES_OF_ALL, 3600
    ):
        _logged[violation, vouched] = None
        if len(_logged) > MOST_KINDS:
            _logged.popitem(last=False)
        log.warning(
            "csp_violation",
            directive=violation.directive,
            blocked=violation.blocked,
            route=violation.route,
            vouched=vouched,
        )
    else:
        catalogue.telemetry_dropped.labels("rum", "rate_limited").inc()


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
