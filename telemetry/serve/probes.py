"""What machines ask of the public port, by whatever name or scheme they reach it, and the beacons of browsers."""

from collections.abc import Callable
from functools import cache

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import NoReverseMatch, Resolver404, resolve, reverse

from telemetry.conf import conf
from telemetry.health import views
from telemetry.rum.views import ingest
from telemetry.serve.exposition import metrics_view

View = Callable[[HttpRequest], HttpResponse]

_PROBES: dict[str, tuple[str, View]] = {
    "telemetry_livez": ("/livez", views.livez),
    "telemetry_readyz": ("/readyz", views.readyz),
    "telemetry_health": ("/api/health", views.health),
    "telemetry_metrics": ("/metrics", metrics_view),
    "telemetry_beacon": ("/api/telemetry", ingest),
}
"""Name, path where telemetry.urls are not included, and view."""


@cache
def answers() -> dict[str, View]:
    """The view of each path that is answered before the host's middleware, where its URLs have put it."""
    return {path_of(name): view for name, (path, view) in _PROBES.items() if _is_ours(name, path)}


def path_of(name: str) -> str:
    """Where a view of telemetry is answered."""
    try:
        return reverse(name)
    except NoReverseMatch:  # telemetry.urls are not included
        return _PROBES[name][0]


def _is_ours(name: str, path: str) -> bool:
    if name == "telemetry_beacon" and not conf.enabled:
        return False
    if path_of(name) != path:
        return True
    try:
        return resolve(path).url_name == name  # else it is a page of the host, which stays
    except Resolver404:
        return True


def view_of(request: HttpRequest) -> View | None:
    """The view of a probe or a beacon, None for any other request.

    Before the host and the scheme are judged: a load balancer asks by address, which no ALLOWED_HOSTS knows, and
    inside, where there is no TLS. Before sessions, cookies and forms: a beacon has none of them.
    """
    return answers().get(request.path_info)


def respond(view: View, request: HttpRequest) -> HttpResponse:
    """Its answer, with what other middleware would have added."""
    try:
        response = view(request)
    except Http404:
        response = HttpResponse(status=404)
    response["Content-Length"] = str(len(response.content))
    response["X-Content-Type-Options"] = "nosniff"
    return response
