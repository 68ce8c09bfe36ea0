"""Sentry behind `telemetry.errors`: events built from an allow-list, limited per fingerprint before they are built.

None of the SDK's integrations is used: its Django integration costs ×1.3 of the CPU of a request, trimmed and without
tracing, where a receiver of `got_request_exception` costs nothing until something breaks.
"""

import os
import re
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, cast

from sentry_sdk import Client
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import HttpTransport
from sentry_sdk.types import Event
from structlog.typing import EventDict

from telemetry import errors
from telemetry.context import UNMATCHED, current
from telemetry.errors import breadcrumbs, browser_events, exceptions, issues
from telemetry.errors.browser_events import BrowserError
from telemetry.errors.sessions import Outcome, Sessions
from telemetry.metrics import catalogue
from telemetry.metrics.containment import failsafe

BURST, WINDOW = 3, 60.0
"""Events of one fingerprint per this many seconds, in each process; the rest are counted."""

MOST_FINGERPRINTS = 512
_TIMEOUT = {"checkin_margin": 30, "max_runtime": 60}
"""Minutes after which a run of a periodic task is missed, or too long."""

_AT_ONCE = 0.001
"""Seconds; Sentry's worker takes no flush without any time."""

_EVENT_KEYS = {
    "breadcrumbs",
    "contexts",
    "debug_meta",
    "environment",
    "event_id",
    "exception",
    "extra",
    "fingerprint",
    "level",
    "logentry",
    "logger",
    "platform",
    "release",
    "request",
    "sdk",
    "server_name",
    "tags",
    "timestamp",
    "transaction",
    "user",
}
_FRAME_KEYS = {
    "colno",
    "context_line",
    "filename",
    "function",
    "in_app",
    "lineno",
    "module",
    "post_context",
    "pre_context",
}
_LOG_KEYS = {"task", "job_id", "kind", "reason", "outcome", "status_code", "query", "route", "dependency", "error_type"}
_WORD = re.compile(r"[\w ./<>:-]{1,100}", re.ASCII)


class _Limit:
    """At most `BURST` events per fingerprint and `WINDOW`."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Hashable, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def held_back(self, fingerprint: Hashable) -> int | None:
        """How many were held back since the last one that passed, if this one passes; None if it is held back."""
        now = time.monotonic()
        with self._lock:
            entry = self._seen.setdefault(fingerprint, [now, 0, 0])  # window's start, passed, held back
            if now - entry[0] >= WINDOW:
                entry[:2] = now, 0
            if entry[1] < BURST:
                entry[1] += 1
                held, entry[2] = int(entry[2]), 0
                if len(self._seen) > MOST_FINGERPRINTS:
                    self._seen.popitem(last=False)
                return held
            entry[2] += 1
        catalogue.telemetry_dropped.labels("sentry", "rate_limited").inc()
        return None


class _CountingTransport(HttpTransport):
    """Counts what never arrives, and gives up on a server that does not answer after 5 s instead of 30."""

    TIMEOUT = 5

    def record_lost_event(self, reason: str, *_args: Any, **_kwargs: Any) -> None:
        catalogue.telemetry_dropped.labels("sentry", reason).inc()

    def on_dropped_event(self, reason: str) -> None:
        if reason == "status_429":
            catalogue.telemetry_dropped.labels("sentry", "refused").inc()

    def stop(self, timeout: float) -> None:
        self.flush(timeout)
        self.flush(_AT_ONCE, self._left)  # which calls back only if something is
        self.kill()

    def _left(self, pending: int, _timeout: float) -> None:
        # Each flush has put one job of its own behind the events.
        catalogue.telemetry_dropped.labels("sentry", "shutdown").inc(max(pending - 2, 0))


def start(release: str, environment: str) -> None:
    """Begin to report to SENTRY_DSN; call it after fork."""
    errors.use(Sentry(os.environ["SENTRY_DSN"], release, os.environ.get("SENTRY_ENVIRONMENT") or environment))


class Sentry(errors.Errors):
    """Reporting that is on."""

    def __init__(self, dsn: str, release: str, environment: str) -> None:
        self._limit, self._sessions = _Limit(), Sessions()
        self._dsn, self._release, self._environment = dsn, release, environment
        self._server = self._client(server_name=socket.gethostname())
        self._browser = self._client(server_name="")  # its own queue: a storm in browsers hides nothing of ours

    def _client(self, server_name: str) -> Client:
        return Client(
            dsn=self._dsn,
            release=self._release,
            environment=self._environment,
            server_name=server_name,
            transport=_CountingTransport,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            include_local_variables=False,
            send_client_reports=False,
            max_breadcrumbs=0,
            before_send=allow_list,
        )

    @failsafe("sentry")
    def capture(self, error: BaseException, handled: bool, request: Any) -> None:
        same = exceptions.fingerprint(error)
        held = self._limit.held_back(tuple(same))
        if held is None:
            return
        values = exceptions.values(error, handled, self._server.options)
        self._send({"level": "error", "fingerprint": same, "exception": {"values": values}}, held, request)

    @failsafe("sentry")
    def message(self, event: str, logger: str, level: str, values: EventDict) -> None:
        held = self._limit.held_back((logger, event))
        if held is None:
            return
        kept = {key: value for key, value in values.items() if key in _LOG_KEYS and _bounded(value)}
        said = {"level": level, "logger": logger, "logentry": {"message": event}, "extra": kept}
        self._send({**said, "fingerprint": [logger, event]}, held)

    @failsafe("sentry")
    def incident(self, sentence: str, kind: str, culprit: str, id_: str) -> None:
        held = self._limit.held_back((kind, culprit))
        if held is None:
            return
        event = {
            "event_id": issues.event_id(id_),
            "level": "error",
            "logger": "telemetry.incidents",
            "logentry": {"message": sentence},
            "fingerprint": [kind, culprit],
            "tags": {"incident": kind, "culprit": culprit[:200]},
        }
        self._send(event, held)

    @failsafe("sentry")
    def browser(self, error: BrowserError) -> None:
        frames = browser_events.frames(error)
        where = (frames[-1]["filename"], frames[-1].get("lineno"), frames[-1].get("colno")) if frames else ()
        held = self._limit.held_back(("browser", error.name, where, error.route))
        if held is None:
            return
        event = browser_events.event(error, frames)
        if held:
            event["extra"] = {"held_back": held}
        _put_trace(event, error.trace_id, error.span_id)
        self._browser.capture_event(cast(Event, event))

    @failsafe("sentry")
    def session(self, outcome: Outcome) -> None:
        self._send_sessions(self._sessions.count(outcome))

    @failsafe("sentry")
    def check_in(self, id_: str, task: str, schedule: str, outcome: str, seconds: float | None) -> None:
        monitor = {"schedule": {"type": "crontab", "value": schedule}, "timezone": "UTC", **_TIMEOUT}
        said: dict[str, Any] = {
            "check_in_id": id_,
            "monitor_slug": re.sub(r"[^a-z0-9_]+", "-", task.lower())[:50],
            "monitor_config": monitor,
            "status": outcome,
            "release": self._release,
            "environment": self._environment,
        }
        envelope = Envelope()
        envelope.add_checkin(said if seconds is None else {**said, "duration": round(seconds, 3)})
        cast(HttpTransport, self._server.transport).capture_envelope(envelope)

    def stop(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        self._send_sessions(self._sessions.rest())
        for client in (self._server, self._browser):
            cast(_CountingTransport, client.transport).stop(max(0.05, deadline - time.monotonic()))

    def _send_sessions(self, counted: dict[str, object] | None) -> None:
        if counted is not None:
            attrs = {"release": self._release, "environment": self._environment}
            envelope = Envelope()
            envelope.add_sessions({"aggregates": [counted], "attrs": attrs})
            cast(HttpTransport, self._server.transport).capture_envelope(envelope)

    def _send(self, event: dict[str, Any], held: int, request: Any = None) -> None:
        """Add what is known of the current request or task, and queue it."""
        tags = event.setdefault("tags", {})
        observation = current()
        if route := _route():
            event["transaction"] = tags["route"] = route
        if steps := breadcrumbs.of(observation):
            event["breadcrumbs"] = {"values": steps}
        if observation is not None:
            tags["request_id"] = observation.request_id
            _put_trace(event, observation.trace_id, observation.span_id)
        user = observation.user_id if observation and observation.user_id else _user_id(request)
        if user:
            event["user"] = {"id": str(user)}
        if held:
            event.setdefault("extra", {})["held_back"] = held
        self._server.capture_event(cast(Event, event))


def allow_list(event: Event, _hint: dict[str, Any]) -> Event:
    """`before_send`: only known keys leave, whoever built the event; no locals, bodies, cookies or addresses."""
    kept: dict[str, Any] = {key: value for key, value in event.items() if key in _EVENT_KEYS}
    if "user" in kept:
        kept["user"] = {"id": kept["user"].get("id")}
    for step in (kept.get("breadcrumbs") or {}).get("values") or []:
        step.pop("data", None)
    if "request" in kept:
        kept["request"] = {"url": kept["request"].get("url")}
    frame_keys = _FRAME_KEYS | ({"abs_path"} if kept.get("platform") == "javascript" else set())
    for exception in (kept.get("exception") or {}).get("values") or []:
        frames = (exception.get("stacktrace") or {}).get("frames")
        if frames:
            exception["stacktrace"] = {
                "frames": [{key: value for key, value in frame.items() if key in frame_keys} for frame in frames]
            }
    return cast(Event, kept)


def _put_trace(event: dict[str, Any], trace_id: str, span_id: str) -> None:
    if trace_id:
        event["tags"]["trace_id"] = trace_id
        event.setdefault("contexts", {})["trace"] = {"trace_id": trace_id, "span_id": span_id or "0" * 16}


def _route() -> str:
    observation = current()
    return "" if observation is None or observation.route == UNMATCHED else observation.route


def _user_id(request: Any) -> Any:
    """Of a user who has been loaded already; never asks the database."""
    return getattr(getattr(request, "_cached_user", None), "pk", None)


def _bounded(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and _WORD.fullmatch(value) is not None)
