"""One beacon, projected: histograms, a log line, spans, error reports, a row. Nothing here waits for anybody."""

import secrets
import time
from functools import lru_cache

import structlog
from django.conf import settings
from prometheus_client import Histogram

from telemetry import errors, traces
from telemetry.metrics import catalogue
from telemetry.observe.routes import route_of_path
from telemetry.rum import store
from telemetry.rum.beacon import Beacon
from telemetry.rum.tokens import PageToken

log = structlog.get_logger("telemetry.rum")

_HISTOGRAMS = {
    "LCP": catalogue.rum_lcp,
    "CLS": catalogue.rum_cls,
    "INP": catalogue.rum_inp,
    "FCP": catalogue.rum_fcp,
    "TTFB": catalogue.rum_ttfb,
}
_FOREIGN = ("-extension://", "user-script:")
"""Marks of what the browser's owner has installed: not our error."""


def project(beacon: Beacon, page: PageToken, device: str) -> None:
    """Make of a beacon what its page's token allows: an unverified one counts under "other" and leaves no record."""
    received = time.time()
    vitals = {name: value if name == "CLS" else value / 1000 for name, value in beacon.vitals.items()}
    _count(beacon, page.route, device, vitals)
    if not page.verified:
        return
    _report_errors(beacon, page)
    if page.sampled and page.trace_id:
        _trace(beacon, page, device, received)
    if page.in_sample(settings.RUM_SAMPLE_RATE):
        if beacon.part == 0:
            _log(beacon, page, device, vitals)
        if beacon.part == 0 or vitals:
            store.put(store.Row.of(beacon, page, device, vitals, received))


def _count(beacon: Beacon, route: str, device: str, vitals: dict[str, float]) -> None:
    for name, value in vitals.items():
        _series(_HISTOGRAMS[name], route, device).observe(value)
    for phase, milliseconds in beacon.phases.items():
        _series(catalogue.rum_navigation, route, phase).observe(milliseconds / 1000)
    for fetch in beacon.fetches:
        endpoint = route_of_path(fetch.path)
        _series(catalogue.rum_fetch_duration, endpoint, _status(fetch.status)).observe(fetch.duration / 1000)
    if beacon.errors:
        catalogue.rum_js_errors.labels(route).inc(len(beacon.errors))
    if beacon.dropped:
        catalogue.telemetry_dropped.labels("rum", "browser_queue").inc(beacon.dropped)


@lru_cache(maxsize=4096)
def _series(metric: Histogram, *labels: str) -> Histogram:
    """A beacon counts in a dozen series: finding one costs as much as counting in it."""
    return metric.labels(*labels)


def _report_errors(beacon: Beacon, page: PageToken) -> None:
    for error in beacon.errors:
        if not any(mark in error.stack for mark in _FOREIGN):
            errors.browser(
                name=error.name,
                message=error.message,
                stack=error.stack,
                route=page.route,
                release=page.release,
                trace_id=page.trace_id,
                span_id=page.span_id,
            )


def _trace(beacon: Beacon, page: PageToken, device: str, received: float) -> None:
    """Spans on the server's clock: the browser tells only how long after each other things happened.

    The page's request began on both clocks, so it ties them together (but for the time on the way); where a beacon has
    no navigation timings, its arrival does.
    """
    if beacon.request_start is not None:
        origin = page.started - beacon.request_start / 1000
    else:
        origin = max(received - beacon.age / 1000, page.started - 60)
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
                "browser.device": device,
                **{f"browser.web_vital.{name.lower()}": value for name, value in beacon.vitals.items()},
                **{f"browser.phase.{name}_ms": value for name, value in beacon.phases.items()},
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


def _log(beacon: Beacon, page: PageToken, device: str, vitals: dict[str, float]) -> None:
    log.info(
        "page_view",
        route=page.route,
        device=device,
        navigation=beacon.navigation,
        trace_id=page.trace_id or None,
        release=page.release,
        vitals={name.lower(): round(value, 4) for name, value in vitals.items()},
        phases_ms={name: round(value) for name, value in beacon.phases.items()},
        fetches=len(beacon.fetches),
        js_errors=len(beacon.errors),
        views=[route_of_path(path) for path in beacon.views[:5]],
    )


def _status(status: int) -> str:
    return f"{status // 100}xx" if status >= 100 else "none"
