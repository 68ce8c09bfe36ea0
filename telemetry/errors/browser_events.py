"""An error that a browser reported, as Sentry's event."""

import re
from typing import Any, NamedTuple

from telemetry import redaction
from telemetry.errors import browser_stacks
from telemetry.static_files import file_of

_DEBUG_ID = re.compile(rb"//# debugId=([0-9a-f-]{36})\s*\Z")


class BrowserError(NamedTuple):
    """An error that no code of the page caught.

    `name` like "TypeError", `stack` as the browser wrote it, `origin` of the page like "https://shop.example", `at` in
    seconds since the epoch (0: now). `route`, `release` and the ids are the page's; `browser` and `system` families.
    """

    name: str
    message: str
    stack: str
    route: str
    release: str
    trace_id: str = ""
    span_id: str = ""
    origin: str = ""
    browser: str = ""
    version: str = ""
    system: str = ""
    at: float = 0.0


def frames(error: BrowserError) -> list[dict[str, Any]]:
    """Its stack as Sentry's frames, oldest first."""
    return browser_stacks.frames(error.stack, error.route, error.origin)


def event(error: BrowserError, frames: list[dict[str, Any]]) -> dict[str, Any]:
    """The event with these frames, and the debug id of each script of ours whose source map may have been uploaded."""
    value: dict[str, Any] = {
        "type": error.name[:100],
        "value": redaction.text(error.message),
        "mechanism": {"type": "onerror", "handled": False},
    }
    if frames:
        value["stacktrace"] = {"frames": frames}
    found: dict[str, Any] = {
        "platform": "javascript",
        "level": "error",
        "exception": {"values": [value]},
        "release": error.release,
        "transaction": error.route,
        "tags": {"route": error.route},
        "contexts": {},
    }
    if images := _images(frames):
        found["debug_meta"] = {"images": images}
    if error.browser:
        found["contexts"]["browser"] = {"name": error.browser, "version": error.version}
        found["contexts"]["os"] = {"name": error.system}
        found["tags"] |= {"browser.name": error.browser, "os.name": error.system}
    if error.origin:
        found["request"] = {"url": error.origin + error.route}
    if error.at:
        found["timestamp"] = error.at
    return found


def _images(frames: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Sentry looks a script up by `abs_path`, Bugsink by `filename`."""
    images = []
    for path in dict.fromkeys(frame["filename"] for frame in frames if frame["in_app"]):
        if debug_id := _debug_id(path):
            places = {path, *(frame.get("abs_path", path) for frame in frames if frame["filename"] == path)}
            images += [{"type": "sourcemap", "code_file": place, "debug_id": debug_id} for place in sorted(places)]
    return images


def _debug_id(path: str) -> str:
    """What the build wrote at the end of the script; "" for one of a release that has gone."""
    file = file_of(path)
    try:
        found = _DEBUG_ID.search(file.read_bytes()[-100:]) if file else None
    except OSError:
        return ""
    return found[1].decode() if found else ""
