"""A beacon's body, checked: wrong shapes are refused, impossible values left out, everything bounded.

Times are milliseconds as the browser's clock counts them from the start of its navigation.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from telemetry.rum import causes
from telemetry.rum.causes import Cause

NAVIGATIONS = ("navigate", "reload", "back-forward", "back-forward-cache", "prerender", "restore", "soft-navigation")
MOST_EVENTS = 50
"""Fetches, errors and view changes of each kind that one beacon may hold."""
MOST_VIEWS = 50
"""Returns from the bfcache, and sends per view, of one page; more are called the last."""

_LIMITS = {"LCP": 60_000.0, "CLS": 100.0, "INP": 60_000.0, "FCP": 60_000.0, "TTFB": 60_000.0}
_DAY = 86_400_000.0
_SPAN_ID = re.compile(r"[0-9a-f]{16}")


class MalformedBeacon(ValueError):
    """The body is not a beacon; the text says why and quotes nothing of it."""


class Fetch(NamedTuple):
    """One same-origin request as the user waited for it; status 0 means no answer."""

    path: str
    status: int
    at: float
    duration: float
    span_id: str


class ScriptError(NamedTuple):
    """An error no code caught; `stack` as the browser wrote it, `at` in ms since the navigation."""

    name: str
    message: str
    stack: str
    at: float | None = None


class Beacon(NamedTuple):  # as are the others: a frozen dataclass takes three times as long to make
    """One send of one page view. `vitals` by name; CLS has no unit, the others are ms.

    `number` counts what the page has sent, over all its views and from 0.
    """

    token: str
    number: int
    view: int
    part: int
    navigation: str
    automated: bool
    age: float
    vitals: Mapping[str, float]
    phases: Mapping[str, float]
    request_start: float | None
    loaded: float | None
    fetches: tuple[Fetch, ...]
    errors: tuple[ScriptError, ...]
    views: tuple[str, ...]
    dropped: int
    causes: Mapping[str, Any]
    script: object
    connection: str
    memory: str

    def hung_on(self) -> tuple[Cause, ...]:
        """What the vitals hung on, and the worst script. For a beacon that a token vouches for."""
        return (*causes.of_vitals(self.causes, self.vitals), *causes.of_script(self.script))


def parse(body: bytes) -> Beacon:
    """The beacon in a request's body. Raises MalformedBeacon."""
    try:
        data = orjson.loads(body)  # refuses NaN, broken UTF-8 and nesting deeper than 1024
    except orjson.JSONDecodeError as error:
        raise MalformedBeacon("not JSON") from error
    if not isinstance(data, dict):
        raise MalformedBeacon("not an object")
    vitals = _mapping(data, "vitals")
    timings = _list(data, "timings")
    marks = [_within(value, _DAY) for value in timings[:13]] if len(timings) >= 13 else []
    navigation = data.get("navigation")
    connection, memory = causes.environment(data.get("connection"), data.get("memory"))
    return Beacon(
        token=_text(data.get("token"), 2000),
        number=_whole(data.get("number", 0), 1000),
        view=_whole(data.get("view", 0), MOST_VIEWS),
        part=_whole(data.get("part", 0), MOST_VIEWS),
        navigation=navigation if isinstance(navigation, str) and navigation in NAVIGATIONS else "other",
        automated=data.get("automated") is True,
        age=_within(data.get("age"), _DAY) or 0.0,
        vitals={
            name: value for name, limit in _LIMITS.items() if (value := _within(vitals.get(name), limit)) is not None
        },
        phases=_phases(marks),
        request_start=marks[4] if marks else None,
        loaded=(marks[11] or None) if marks else None,
        fetches=tuple(filter(None, map(_fetch, _events(data, "fetches")))),
        errors=tuple(map(_error, _events(data, "errors"))),
        views=tuple(_text(each.get("path"), 500) for each in _events(data, "views")),
        dropped=_whole(data.get("dropped", 0), 100_000),
        causes=_mapping(data, "causes"),
        script=data.get("script"),
        connection=connection,
        memory=memory,
    )


def _phases(marks: list[float | None]) -> dict[str, float]:
    """Durations from (start, end) pairs and secureConnectionStart; what has not ended or runs backwards is left out."""
    if not marks:
        return {}
    dns, resolved, connect, connected, request, _, response, received, _, ready, _, loaded, secure = marks
    spans = (
        ("dns", dns, resolved),
        ("connect", connect, connected),
        ("tls", secure or None, connected),  # 0 on a connection without TLS or one that was reused
        ("request", request, response),  # until the first byte
        ("response", response, received),
        ("dom", received, ready),
        ("load", ready, loaded),
    )
    return {
        name: end - start
        for name, start, end in spans
        if start is not None and end is not None and end >= start and (end or name in ("dns", "connect"))
    }


def _fetch(each: dict[str, Any]) -> Fetch | None:
    at, duration = _within(each.get("at"), _DAY), _within(each.get("duration"), 600_000.0)
    if at is None or duration is None:
        return None
    span_id = _text(each.get("span"), 16)
    valid = _SPAN_ID.fullmatch(span_id) and span_id.strip("0")
    return Fetch(
        _text(each.get("path"), 500), _whole(each.get("status", 0), 599), at, duration, span_id if valid else ""
    )


def _error(each: dict[str, Any]) -> ScriptError:
    stack = _text(each.get("stack"), 3000)
    if not stack:
        line, column = _whole(each.get("line"), 10_000_000), _whole(each.get("column"), 10_000_000)
        stack = f"@{_text(each.get('file'), 500)}:{line}:{column}"
    return ScriptError(
        _text(each.get("type"), 80) or "Error", _text(each.get("message"), 300), stack, _within(each.get("at"), _DAY)
    )


def _within(value: object, limit: float) -> float | None:
    """The number, when it is one from 0 to `limit`."""
    if type(value) is not float and type(value) is not int:  # bool is an int to isinstance, which is slower too
        return None
    return float(value) if 0 <= value <= limit else None  # NaN and the infinities lie nowhere between


def _whole(value: object, limit: int) -> int:
    """The whole number, cut to 0 … `limit`; 0 for anything else."""
    return min(max(value, 0), limit) if isinstance(value, int) and not isinstance(value, bool) else 0


def _text(value: object, limit: int) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _mapping(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    if value is not None and not isinstance(value, dict):
        raise MalformedBeacon(f"{key} is not an object")
    return value or {}


def _list(data: dict[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    if value is not None and not isinstance(value, list):
        raise MalformedBeacon(f"{key} is not a list")
    return value or []


def _events(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    events = _list(data, key)[:MOST_EVENTS]
    if not all(isinstance(each, dict) for each in events):
        raise MalformedBeacon(f"{key} holds something that is not an object")
    return events
