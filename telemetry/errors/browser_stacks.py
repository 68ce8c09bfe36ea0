"""Stack traces as browsers write them (V8, Gecko, WebKit), turned into Sentry's frames."""

import re
from typing import Any
from urllib.parse import urlsplit

MOST = 50
_LONGEST_LINE = 500

_V8 = re.compile(
    r"^\s*at (?:async )?(?:(?P<function>.+?) \()?(?P<url>[^()\s]+?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?\)?$"
)
_GECKO_OR_WEBKIT = re.compile(
    r"^\s*(?:(?P<function>[^@]*)@)?(?P<url>[a-z][a-z0-9+.-]*:[^\s]*?|\[native code\])"
    r"(?::(?P<line>\d+))?(?::(?P<column>\d+))?$"
)


def frames(stack: str) -> list[dict[str, Any]]:
    """The frames of a browser's `error.stack`, oldest first as Sentry wants them; [] where nothing is recognised.

    Each has filename (a path; never a query string), function, lineno, colno and in_app (a file of ours).
    """
    parsed = []
    for long_line in stack.splitlines()[: MOST + 1]:
        line = long_line[:_LONGEST_LINE]
        match = (_V8 if re.match(r"\s*at ", line) else _GECKO_OR_WEBKIT).match(line)
        if match:
            parsed.append(_frame(**match.groupdict()))
    return parsed[:MOST][::-1]


def _frame(function: str | None, url: str, line: str | None, column: str | None) -> dict[str, Any]:
    path = _path(url)
    frame: dict[str, Any] = {
        "filename": path,
        "function": (function or "?").strip()[:200],
        "in_app": path.startswith("/static/"),
    }
    if line:
        frame["lineno"] = int(line)
    if column:
        frame["colno"] = int(column)
    return frame


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "?"
    if parts.scheme in ("http", "https"):
        return parts.path[:200] or "/"
    return f"{parts.scheme}:" if parts.scheme else url[:200].partition("?")[0]
