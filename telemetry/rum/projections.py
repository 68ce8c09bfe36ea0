"""One beacon, projected: histograms, a log line, spans, error reports, a row. Nothing here waits for anybody."""

import secrets
import time
from functools import lru_cache

from prometheus_client import Histogram

from telemetry import errors, shared_table, traces
from telemetry.conf import conf
from telemetry.errors.browser_events import BrowserError
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.observe import browsers
from telemetry.observe.routes import route_of_path
from telemetry.rum import clients, shares, store
from telemetry.rum.beacon import NAVIGATIONS, Beacon, ScriptError
from telemetry.rum.causes import SCRIPT, Cause
from telemetry.rum.clients import Sender
from telemetry.rum.foreign import is_foreign
from telemetry.rum.tokens import PageToken

log = get_logger("telemetry.rum")

_HISTOGRAMS = {
    "LCP": catalogue.rum_lcp,
    "CLS": catalogue.rum_cls,
    "INP": catalogue.rum_inp,
    "FCP": catalogue.rum_fcp,
    "TTFB": catalogue.rum_ttfb,
}
_BITS = {name: 1 << place for place, name in enumerate(_HISTOGRAMS)}
_PHASES, _FETCHES, _SCRIPT = 1 << len(_BITS), 2 << len(_BITS), 4 << len(_BITS)
"""What one client counts for once on each page."""
MOST_ISSUES, MOST_ISSUES_OF_ALL = 5, 30
"""Script errors that are reported: of one client within RUM_CLIENT_WINDOW, and of all clients in a minute."""
MOST_TRACED = 60
"""Beacons of one client, within RUM_CLIENT_WINDOW, of which spans are made: the queue of spans is everybody's."""

for _kind in ("vital", "fetch", "error", "csp"):
    catalogue.rum_unverified.labels(_kind)  # there with 0 before the first


for _navigation in (*NAVIGATIONS, "other"):
    for _family in (*clients.FAMILIES, "other"):
        catalogue.rum_page_views.labels(_navigation, _family)


def project(beacon: Beacon, page: PageToken, sender: Sender) -> None:
    """Make of a beacon that a token vouches for what it counts for: numbers, a log line, spans, issues, a row."""
    received = time.time()
    vitals = {name: value if name == "CLS" else value / 1000 for name, value in beacon.vitals.items()}
    ours = [error for error in beacon.errors if not is_foreign(error, sender.host)]
    if foreign := len(beacon.errors) - len(ours):
        catalogue.rum_foreign_errors.inc(foreign)
    hung_on = beacon.hung_on()
    counted = _count(beacon, page, sender, vitals, hung_on)
    if beacon.part == 0:
        catalogue.rum_page_views.labels(beacon.navigation, sender.browser.family).inc()
    if ours:
        _count_errors(ours, page, sender, _origin(beacon, page, received))
    if page.sampled and page.trace_id and shares.within(sender.address, "trace", MOST_TRACED):
        _trace(beacon, page, sender, received, hung_on)
    if page.in_sample(conf.rum_sample_rate):
        if beacon.part == 0:
            _log(beacon, page, sender, vitals, len(ours), hung_on)
        if beacon.part == 0 or vitals:
            kept = tuple([cause for cause in hung_on if cause.vital in counted])
            names = tuple([name for name in counted if name != SCRIPT])
            store.put(store.Row.of(beacon, page, sender.device, vitals, received, len(ours), names, kept))


def count_unverified(beacon: Beacon) -> None:
    """Count what a beacon holds that no token vouches for, and believe nothing of it."""
    for kind, number in (("vital", len(beacon.vitals)), ("fetch", len(beacon.fetches)), ("error", len(beacon.errors))):
        if number:
            catalogue.rum_unverified.labels(kind).inc(number)


def _count(
    beacon: Beacon, page: PageToken, sender: Sender, vitals: dict[str, float], hung_on: tuple[Cause, ...]
) -> tuple[str, ...]:
    """Count what the client has not counted for on this page; the names of the vitals among it, and SCRIPT."""
    route = page.route
    wanted = (_PHASES if beacon.phases else 0) | (_FETCHES if beacon.fetches else 0)
    for name in vitals:
        wanted |= _BITS[name]
    if any(cause.vital == SCRIPT for cause in hung_on):
        wanted |= _SCRIPT
    admitted = shares.first(sender.address, route, wanted) if wanted else 0
    counted = tuple([name for name in vitals if admitted & _BITS[name]])
    exemplar = {"trace_id": page.trace_id} if page.sampled and page.trace_id else None
    for name in counted:
        _series(_HISTOGRAMS[name], route, sender.device).observe(vitals[name], exemplar)
    if counted:
        browsers.reports.seen(route, {name: vitals[name] for name in counted})
    if admitted & _PHASES:
        for phase, milliseconds in beacon.phases.items():
            _series(catalogue.rum_navigation, route, phase).observe(milliseconds / 1000)
    if admitted & _FETCHES:
        first = {(route_of_path(fetch.path), _status(fetch.status)): fetch for fetch in reversed(beacon.fetches)}
        for labels, fetch in first.items():
            _series(catalogue.rum_fetch_duration, *labels).observe(fetch.duration / 1000)
    if beacon.dropped:
        catalogue.rum_events_dropped.inc(beacon.dropped)
    return (*counted, SCRIPT) if admitted & _SCRIPT else counted


def _count_errors(ours: list[ScriptError], page: PageToken, sender: Sender, origin: float) -> None:
    """Count the client, not its errors, and report them within what it and everybody may."""
    if shares.first(sender.address, f"errors {page.route}", 1):
        catalogue.rum_js_errors.labels(page.route).inc()
        browsers.reports.failed(page.route)
    for error in ours if errors.reporting() else ():
        if not (
            shares.within(sender.address, "issue", MOST_ISSUES) and shared_table.among("issue", MOST_ISSUES_OF_ALL, 60)
        ):
            catalogue.telemetry_dropped.labels("sentry", "rate_limited").inc()
            continue
        errors.browser(
            BrowserError(
                name=error.name,
                message=error.message,
                stack=error.stack,
                route=page.route,
                release=page.release,
                trace_id=page.trace_id,
                span_id=page.span_id,
                origin=sender.origin,
                browser=sender.browser.family,
                version=sender.browser.version,
                system=sender.browser.system,
                at=min(origin + (error.at or 0) / 1000, time.time()),
            )
        )


@lru_cache(maxsize=4096)
def _series(metric: Histogram, *labels: str) -> Histogram:
    """A beacon counts in a dozen series: finding one costs as much as counting in it."""
    return metric.labels(*labels)


def _origin(beacon: Beacon, page: PageToken, received: float) -> float:
    """When the page's navigation began, in seconds since the epoch by the server's clock.

    The page's request began on both clocks, so it ties them together (but for the time on the way); where a beacon has
    no navigation timings, its arrival does.
    """
    if beacon.request_start is not None:
        return page.started - beacon.request_start / 1000
    return max(received - beacon.age / 1000, page.started - 60)


def _trace(beacon: Beacon, page: PageToken, sender: Sender, received: float, hung_on: tuple[Cause, ...]) -> None:
    """Spans on the server's clock: the browser tells only how long after each other things happened."""
    origin = _origin(beacon, page, received)
    parent = page.span_id
    if beacon.part == 0 and beacon.view == 0:
        parent = secrets.token_hex(8)
        traces.record_remote(
            f"page_view {page.route}",
            trace_id=page.trace_id,
            parent_id=page.span_id,
            span_id=parent,
            start=min(origin, received),
            end=min(origin + (beacon.loaded or beacon.age) / 1000, received),
            attributes={
                "http.route": page.route,
                "browser.navigation.type": beacon.navigation,
                "browser.device": sender.device,
                "browser.family": sender.browser.family,
                "browser.connection": beacon.connection,
                "browser.memory": beacon.memory,
                **{f"browser.web_vital.{name.lower()}": value for name, value in beacon.vitals.items()},
                **{f"browser.phase.{name}_ms": value for name, value in beacon.phases.items()},
                **{f"browser.{_name(cause)}.target": cause.target for cause in hung_on},
            },
        )
    for fetch in beacon.fetches:
        start = min(origin + fetch.at / 1000, received)
        traces.record_remote(
            f"fetch {route_of_path(fetch.path)}",
            trace_id=page.trace_id,
            parent_id=parent,
            span_id=fetch.span_id,
            start=start,
            end=min(start + fetch.duration / 1000, received),
            attributes={"http.response.status_code": fetch.status, "http.route": route_of_path(fetch.path)},
        )


def _name(cause: Cause) -> str:
    return cause.vital if cause.vital == SCRIPT else f"web_vital.{cause.vital.lower()}"


def _log(
    beacon: Beacon,
    page: PageToken,
    sender: Sender,
    vitals: dict[str, float],
    errors_of_ours: int,
    hung_on: tuple[Cause, ...],
) -> None:
    log.info(
        "page_view",
        route=page.route,
        device=sender.device,
        browser=sender.browser.family,
        connection=beacon.connection,
        memory=beacon.memory,
        navigation=beacon.navigation,
        trace_id=page.trace_id or None,
        release=page.release,
        vitals={name.lower(): round(value, 4) for name, value in vitals.items()},
        causes={
            cause.vital.lower(): {
                "target": cause.target,
                **({"event": cause.event} if cause.event else {}),
                **({"ms": round(cause.value)} if cause.vital == SCRIPT else {}),
                **{f"{part}_ms": round(milliseconds) for part, milliseconds in cause.parts.items()},
            }
            for cause in hung_on
        },
        phases_ms={name: round(value) for name, value in beacon.phases.items()},
        fetches=len(beacon.fetches),
        js_errors=errors_of_ours,
        views=[route_of_path(path) for path in beacon.views[:5]],
    )


def _status(status: int) -> str:
    return f"{status // 100}xx" if status >= 100 else "none"
