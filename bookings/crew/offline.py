"""What a browser asks for by itself to install the pages and to keep them: nothing of anybody's visits."""

from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import find
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

_WORKER = "build/crew-worker.js"


@require_safe
@cache_control(no_cache=True)
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker, at an address that lets it serve all of /crew/."""
    # Collected by a release, or where its source is while the site is being changed.
    path = staticfiles_storage.path(_WORKER) if staticfiles_storage.exists(_WORKER) else find(_WORKER)
    if path is None:
        raise Http404
    return HttpResponse(Path(path).read_bytes(), content_type="text/javascript; charset=utf-8")


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """What makes My day an application of the phone."""
    icons = [
        {"src": static(f"img/icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png"} for size in (192, 512)
    ]
    body = {
        "id": reverse("crew"),
        "name": f"{settings.BUSINESS_NAME}: my day",
        "short_name": "My day",
        "start_url": reverse("crew"),
        "scope": reverse("crew"),
        "display": "standalone",
        "background_color": "#f4f5f0",
        "theme_color": "#ffc72c",
        "icons": icons,
    }
    return JsonResponse(body, content_type="application/manifest+json")
