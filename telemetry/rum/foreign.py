"""Errors of scripts that are not the site's: of extensions, of what an app or a virus scanner puts into every page."""

import re

from telemetry.rum.beacon import ScriptError

_SCHEMES = ("-extension:", "user-script:", "webkit-masked-url:", "chrome://", "resource://")
"""What extensions and user scripts are loaded from; Safari hides their address behind a mask."""
_INJECTED = (
    "__gCrWeb", "__firefox__", "_AutofillCallbackHandler", "webkit.messageHandlers", "ResizeObserver loop",
    "Object Not Found Matching Id", "Java object is gone", "window.ethereum", "zaloJSV2", "_avast_submit",
)  # fmt: skip
"""Names that browsers and apps on telephones put into pages, and that stand in what is said of their failures."""
_ORIGIN = re.compile(r"^(?:\s*at [^\n]*?|[^@\n]*@)https?://([^/\s]+)/", re.MULTILINE)
_NO_ADDRESS = "@:0:0"
"""The stack of an error without one, and without a file (`beacon.py`)."""


def is_foreign(error: ScriptError, host: str) -> bool:
    """Whether an error is none of the site's, which is at `host` (with the port, as in the request's Host header).

    What threw decides: pages load scripts of no other host, so one from there was put in. An extension anywhere in the
    stack makes it the extension's, because calls of ours that it makes pass through our code.
    """
    if any(mark in error.stack for mark in _SCHEMES) or any(name in error.message for name in _INJECTED):
        return True
    if error.message.startswith("Script error") and error.stack == _NO_ADDRESS:
        return True  # of another origin: the browser says no more
    thrower = _ORIGIN.search(error.stack)
    return thrower is not None and thrower[1].lower() != host.lower()
