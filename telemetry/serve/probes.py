"""What machines ask of the public port, by whatever name or scheme they reach it, and the beacons of browsers."""

from collections.abc import Callable
from functools import cache

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import Resolver404, get_script_prefix, resolve, reverse

from telemetry.conf import conf
from telemetry.health import views
from telemetry.rum.views import ingest, report
from telemetry.serve.exposition import metrics_view

View = Callable[[HttpRequest], HttpResponse]

_PROBES: dict[str, tuple[str, View]] = {
    "telemetry_livez": ("/livez", views.livez),
    "telemetry_readyz": ("/readyz", views.readyz),
    "telemetry_health": ("/api/health", views.health),
    "telemetry_metrics": ("/metrics", metrics_view),
    "telemetry_beacon": ("/api/telemetry", ingest),
    "telemetry_csp": ("/api/telemetry/csp", report),
}
"""Name, path where telemetry.urls are not included, and view."""
_HEALTH = ("telemetry_livez", "telemetry_readyz", "telemetry_health")
_BEACONS = ("telemetry_beacon", "telemetry_csp")


@cache
def answers() -> dict[str, View]:
    """The view of each path that is answered before the host's middleware, where its URLs have put it."""
    return {_below_script(name): view for name, (path, view) in _PROBES.items() if _is_ours(name, path)}


@cache
def health() -> frozenset[str]:
    """The paths of the health checks, which machines ask all day."""
    return frozenset(map(_below_script, _HEALTH))


@cache
def beacons() -> frozenset[str]:
    """The paths to which browsers report what they measured."""
    return frozenset(map(_below_script, _BEACONS))


def path_of(name: str) -> str:
    """Where a view of telemetry is answered, for a link to it."""
    try:
        return reverse(name)
    except Exception:  # telemetry.urls are not included; or no URLs can be read, which each request will report
        return get_script_prefix().removesuffix("/") + _PROBES[name][0]


def _below_script(name: str) -> str:
    """The same, as `request.path_info` has it."""
    return "/" + path_of(name).removeprefix(get_script_prefix())


def _is_ours(name: str, path: str) -> bool:
    if name in _BEACONS and not conf.enabled:
        return False
    if _below_script(name) != path:
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
