"""Is it alive, can it serve, how is it doing?

Anybody may ask: the answers are a word for each check, and the version that runs (the release's name, which deploys
wait for); no error text, no host, and no version of a package.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from telemetry import health as dependencies
from telemetry.conf import conf
from telemetry.diagnosis import incidents
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


_OF_DATABASE = frozenset({"query", "commit", "lock", "held", "database"})


@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """How each dependency is doing, and the version of the site.

    503 only when the database is gone: exhausted, or a part missing, is degraded.
    """
    reachable = database.check().ok
    wrong = incidents.current()
    exhausted = any(incident.cause.kind in _OF_DATABASE for incident in wrong)
    dependencies.refresh()
    states = {check.name: check.state for check in dependencies.checks()}
    checks = {"database": ("degraded" if exhausted else "ok") if reachable else "down", **states}
    healthy = not wrong and all(state in ("ok", "disabled", "unknown") for state in checks.values())
    return JsonResponse(
        {"status": "healthy" if healthy else "degraded", "checks": checks, "version": conf.release},
        status=200 if reachable else 503,
    )
