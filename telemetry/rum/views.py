"""Beacons and reports of the browser in, cheapest check first. No session, no cookie and no database on the way."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from telemetry.conf import conf
from telemetry.logger import get_logger
from telemetry.metrics import catalogue
from telemetry.rum import beacon, body, clients, projections, tokens, violations

MOST_BYTES = 64 * 1024
READ_SECONDS = 2.0
_BEACON = frozenset({"application/json"})
T = TypeVar("T")

log = get_logger("telemetry.rum")
_rate = clients.RateLimit(conf.rum_rate_per_client, conf.rum_rate)
_report_rate = clients.RateLimit(conf.rum_rate_per_client, conf.rum_rate)  # reports take nothing of the beacons
_outcomes = lru_cache(maxsize=64)(catalogue.rum_beacons.labels)


@csrf_exempt  # sendBeacon cannot send a token; Sec-Fetch-Site and Origin keep other sites out, and nothing is changed
def ingest(request: HttpRequest) -> HttpResponse:
    """204 for a beacon taken or left out on purpose, 4xx for what is none; `rum_beacons_total` counts which."""
    sent = _receive(request, _BEACON, _same_origin, beacon.parse, _rate)
    if isinstance(sent, HttpResponse):
        return sent
    if clients.opted_out(request.META):
        return _answer("opted_out")
    if not conf.rum_count_automation and (sent.automated or clients.is_machine(request.META)):
        return _answer("automation")
    page = tokens.read(sent.token)
    if not (page.verified and tokens.first(page, sent.number)):
        projections.count_unverified(sent)
        return _answer("repeated" if page.verified else "unverified")
    projections.project(sent, page, clients.Sender.of(request.META, _origin(request)))
    return _answer("accepted")


@csrf_exempt  # the browser itself sends it, to an address with the page's token
def report(request: HttpRequest) -> HttpResponse:
    """What the content security policy stopped (`report-uri` and the Reporting API). Answers as `ingest` does."""
    found = _receive(request, violations.CONTENT_TYPES, _not_cross_site, violations.parse, _report_rate)
    if isinstance(found, HttpResponse):
        return found
    violations.project(found, tokens.read(request.GET.get("page", "")), request.META.get("REMOTE_ADDR", ""))
    return _answer("report")


def _receive(
    request: HttpRequest,
    types: frozenset[str],
    welcome: Callable[[HttpRequest], bool],
    parse: Callable[[bytes], T],
    rate: clients.RateLimit,
) -> T | HttpResponse:
    """What `parse` makes of the body, or the answer to a request that is refused or cannot be read."""
    if refusal := _refuse(request, types, welcome, rate):
        return refusal
    try:
        return parse(_body(request, int(request.META["CONTENT_LENGTH"])))
    except body.SlowBody:
        return _answer("slow", 408)
    except body.ShortBody:
        return _answer("cut_off", 400)
    except beacon.MalformedBeacon:
        return _answer("malformed", 400)


def _body(request: HttpRequest, length: int) -> bytes:
    if "wsgi.input" in request.META:
        return body.read(request.META, length, READ_SECONDS)
    return request.read(length)  # ASGI: Django has taken it in already


def _refuse(
    request: HttpRequest, types: frozenset[str], welcome: Callable[[HttpRequest], bool], rate: clients.RateLimit
) -> HttpResponse | None:
    """What can be refused without reading the body."""
    headers = request.META
    if request.method != "POST":
        return _answer("method", 405, Allow="POST")
    if headers.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() not in types:
        return _answer("content_type", 415)
    if headers.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        return _answer("content_encoding", 415)  # a beacon is small; what unpacks to gigabytes is not looked at
    if not welcome(request):
        return _answer("cross_site", 403)
    length = headers.get("CONTENT_LENGTH") or ""
    if "HTTP_TRANSFER_ENCODING" in headers or not (length.isascii() and length.isdigit()):
        return _answer("no_length", 411)
    if len(length) > 9 or int(length) > MOST_BYTES:
        return _answer("too_large", 413)
    if wait := rate.wait(headers.get("REMOTE_ADDR", "")):
        return _answer("rate_limited", 429, **{"Retry-After": str(wait)})
    return None


def _origin(request: HttpRequest) -> str:
    """The site's origin as the browser knows it; "" where the Host header names another site."""
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return ""


def _same_origin(request: HttpRequest) -> bool:
    """By Sec-Fetch-Site; by Origin in the browsers that have none (Safari before 16.4). One of them must be there."""
    if site := request.META.get("HTTP_SEC_FETCH_SITE"):
        return bool(site == "same-origin")
    try:
        return bool(urlsplit(request.META.get("HTTP_ORIGIN", "")).netloc == request.META.get("HTTP_HOST"))
    except ValueError:
        return False


def _not_cross_site(request: HttpRequest) -> bool:
    """Reports come from the browser, which in some names no site and no origin."""
    return bool(request.META.get("HTTP_SEC_FETCH_SITE", "same-origin") == "same-origin")


def _answer(outcome: str, status: int = 204, **headers: str) -> HttpResponse:
    _outcomes(outcome).inc()
    response = HttpResponse(status=status, headers=headers)
    # Django would warn of each 4xx: a flood to order. docs/private-names.md.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response
