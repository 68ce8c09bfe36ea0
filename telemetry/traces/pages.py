"""How a page that this site served vouches for its trace, so that its requests and forms continue it.

The page carries a ticket: its trace, whether that is sampled, when it was made, and a signature. The beacon puts before
it the id of the span that asks, and sends both in the header `Page-Trace`; of a form, which takes no header,
in its address. Whoever has a page can repeat its ticket: MOST times, within MAX_AGE, in its trace.
"""

import re
import time
from typing import Any

from telemetry import shared_table, signing

HEADER, PARAMETER = "HTTP_PAGE_TRACE", "page-trace"
MAX_AGE = 24 * 3600
"""Seconds a page may be open."""
MOST = 200
"""Requests that continue the trace of one page, on each host."""

_PURPOSE = "telemetry.page_trace"
_LENGTH = 16
_VALUE = re.compile(r"([0-9a-f]{16})-(([0-9a-f]{32})-(0[01])-([0-9a-f]{8}))-([\w-]{16})", re.ASCII)
_IN_ADDRESS = re.compile(rf"(?:^|&){PARAMETER}=({_VALUE.pattern})(?:&|$)", re.ASCII)


def ticket(trace_id: str, sampled: bool) -> str:
    """What a page that is rendered now carries; `trace_id` in hexadecimal."""
    words = f"{trace_id}-{int(sampled):02d}-{int(time.time()):08x}"
    return f"{words}-{signing.signature(_PURPOSE, words.encode(), _LENGTH).decode()}"


def continued(method: str, environ: dict[str, Any]) -> str:
    """The `traceparent` of the page that a request comes from, or "" where no valid ticket says so."""
    value = environ.get(HEADER, "")
    if not value and method == "POST" and PARAMETER in environ.get("QUERY_STRING", ""):
        found = _IN_ADDRESS.search(environ["QUERY_STRING"])
        value = found[1] if found else ""
    match = _VALUE.fullmatch(value) if value else None
    if match is None:
        return ""
    span_id, words, trace_id, flags, made, signature = match.groups()
    if not signing.is_signed(_PURPOSE, words.encode(), signature.encode(), _LENGTH):
        return ""
    if time.time() - int(made, 16) > MAX_AGE or not shared_table.among(f"trace {trace_id}", MOST, MAX_AGE):
        return ""
    return f"00-{trace_id}-{span_id}-{flags}"
