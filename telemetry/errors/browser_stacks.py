"""Stack traces as browsers write them (V8, Gecko, WebKit), turned into Sentry's frames."""

import re
from typing import Any
from urllib.parse import urlsplit

from telemetry.static_files import is_static

MOST = 50
_LONGEST_LINE = 500

_V8 = re.compile(
    r"^\s*at (?:async )?(?:(?P<function>.+?) \()?(?P<url>[^()\s]+?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?\)?$"
)
_GECKO_OR_WEBKIT = re.compile(
    r"^\s*(?:(?P<function>[^@]*)@)?(?P<url>[a-z][a-z0-9+.-]*:[^\s]*?|\[native code\])"
    r"(?::(?P<line>\d+))?(?::(?P<column>\d+))?$"
)


def frames(stack: str, route: str = "", origin: str = "") -> list[dict[str, Any]]:
    """The frames of a browser's `error.stack`, oldest first as Sentry wants them; [] where nothing is recognised.

    Each has filename (a script's path; for a page's own code `route`, as addresses of pages name people), function,
    lineno, colno and in_app (a file of ours); with an `origin` also abs_path where it is in_app.
    """
    parsed = []
    for long_line in stack.splitlines()[: MOST + 1]:
        line = long_line[:_LONGEST_LINE]
        match = (_V8 if re.match(r"\s*at ", line) else _GECKO_OR_WEBKIT).match(line)
        if match:
            parsed.append(_frame(route, origin, **match.groupdict()))
    return parsed[:MOST][::-1]


def _frame(
    route: str, origin: str, function: str | None, url: str, line: str | None, column: str | None
) -> dict[str, Any]:
    path = _path(url, route)
    frame: dict[str, Any] = {
        "filename": path,
        "function": (function or "?").strip()[:200],
        "in_app": is_static(path),
    }
    if frame["in_app"] and origin:
        frame["abs_path"] = origin + path
    if line:
        frame["lineno"] = int(line)
    if column:
        frame["colno"] = int(column)
    return frame


def _path(url: str, route: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "?"
    if parts.scheme in ("http", "https"):
        path = parts.path[:200] or "/"
        return path if is_static(path) else route or "page"
    return f"{parts.scheme}:" if parts.scheme else "<anonymous>" if url.startswith("<anonymous>") else "?"
