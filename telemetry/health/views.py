"""Is it alive, can it serve, how is it doing? Answers tell the public a word each: no error text, host or version."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from telemetry.context import PROBES, current
from telemetry.diagnosis import incidents
from telemetry.health import dependencies
from telemetry.observe.probe import database


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers. Touches nothing."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 after one round trip to the database within 0.5 s, else a bare 503."""
    return HttpResponse(status=200 if database.check().ok else 503, content_type="text/plain")


@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """How each dependency is doing. 503 only when the database is gone: exhausted, or a part missing, is degraded."""
    reachable = database.check().ok
    exhausted = any(incident.kind == "pool_exhausted" for incident in incidents.current())
    dependencies.refresh()
    states = {check.name: check.state for check in dependencies.checks}
    checks = {"database": ("degraded" if exhausted else "ok") if reachable else "down", **states}
    healthy = all(state in ("ok", "disabled", "unknown") for state in checks.values())
    return JsonResponse(
        {"status": "healthy" if healthy else "degraded", "checks": checks, "version": settings.RELEASE},
        status=200 if reachable else 503,
    )


VIEWS: dict[str, Callable[[HttpRequest], HttpResponse]] = dict(zip(PROBES, (livez, readyz, health), strict=True))


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer probes before the host is checked: a load balancer asks by address, which no ALLOWED_HOSTS knows."""

    def answer(request: HttpRequest) -> HttpResponse:
        view = VIEWS.get(request.path_info)
        if view is None:
            return get_response(request)
        if observation := current():
            observation.route = request.path_info
        response = view(request)
        response["Content-Length"] = str(len(response.content))  # CommonMiddleware is not asked
        return response

    return answer
