"""The site's pages, and django-prometheus' own export."""

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path

from tests.broken.urls import urlpatterns as broken
from tests.packages.models import CountedService
from xfhandyman.urls import handler400, handler403, handler404, handler500  # noqa: F401  # Django looks for them here


def saves(request: HttpRequest) -> HttpResponse:
    service = CountedService.objects.order_by("pk")[0]
    service.save()
    cache.get("nothing")
    return HttpResponse("saved")


urlpatterns: list[URLPattern | URLResolver] = [
    path("saves/", saves),
    path("django-prometheus/", include("django_prometheus.urls")),
    *broken,
]
