"""`{% load rum %}{% rum_beacon %}`: the script tag of the beacon with what the server knows about this page."""

import time
from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from telemetry import traces
from telemetry.conf import conf
from telemetry.context import current
from telemetry.observe.routes import route_name
from telemetry.rum import clients, tokens
from telemetry.serve import probes
from telemetry.traces import pages

register = template.Library()


@register.simple_tag(takes_context=True)
def rum_beacon(context: template.Context) -> SafeString | str:
    """The deferred script, or nothing with telemetry off or for a browser that asks not to be measured.

    Put it before the page's other scripts: their errors are then seen. Sets no cookie and asks no database.
    """
    request: Any = context.get("request")
    if not conf.enabled or request is None or clients.opted_out(request.META):
        return ""
    try:
        script = _script(settings.STATIC_URL)
    except ValueError:  # not collected: a page without its beacon is better than no page
        return ""
    observation = current()
    trace_id, span_id = (observation.trace_id, observation.span_id) if observation else ("", "")
    route = observation.route if observation else route_name(request)
    elapsed = time.perf_counter() - observation.started if observation else 0.0
    sampled = traces.sampled()
    token = tokens.issue(route, trace_id=trace_id, span_id=span_id, sampled=sampled, started=time.time() - elapsed)
    request.page_token = token  # for whoever else lets this page's browser report something
    trace = pages.ticket(trace_id, sampled) if trace_id else ""
    # Base64, hexadecimal digits and what `_script` has escaped.
    nonce = escape(getattr(request, "csp_nonce", ""))
    return SafeString(
        f'<script nonce="{nonce}" {script} data-token="{token}" data-trace="{trace}" data-span="{span_id}"></script>'
    )


@lru_cache(maxsize=1)
def _script(_static_url: str) -> str:
    """The part of the tag that is the same on every page. Raises ValueError when the script is not collected."""
    return format_html('src="{}" defer data-url="{}"', static("telemetry/rum.js"), probes.path_of("telemetry_beacon"))
