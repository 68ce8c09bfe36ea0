"""Pages for what went wrong. They touch no database, and name the request so that support can find it."""

import sys
from collections.abc import Mapping
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import requires_csrf_token

from bookings.ratelimit.limits import Pause


def _page(request: HttpRequest, template: str, status: int) -> HttpResponse:
    return render(request, template, {"request_id": getattr(request, "request_id", "")}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "400.html", 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "403.html", 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "404.html", 404)


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Where the database is out of reach (or its pool exhausted), say that it is worth trying again."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        response = _page(request, "503.html", 503)
        response["Retry-After"] = "30"
        return response
    return _page(request, "500.html", 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form came without its security cookie: an old tab, or cookies switched off."""
    return _page(request, "403_csrf.html", 403)


def wait_a_while(
    request: HttpRequest, pause: Pause, template: str = "429.html", context: Mapping[str, Any] | None = None
) -> HttpResponse:
    """A client that comes too often: the page (its own, with what was typed) says how long to wait, and what then."""
    again = request.GET.copy()
    again["turn"] = pause.turn
    own = {"request_id": getattr(request, "request_id", ""), "wait": -(-pause // 60), "seconds": pause}
    context = {**own, "turn": pause.turn, "again": f"?{again.urlencode()}", **(context or {})}
    response = render(request, template, context, status=429)
    response["Retry-After"] = str(int(pause))
    return response
