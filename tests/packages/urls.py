"""The site's pages, and django-prometheus' own export."""

from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from tests.broken.urls import urlpatterns as broken
from tests.packages.models import CountedService
from xfhandyman.urls import handler400, handler403, handler404, handler500  # noqa: F401  # Django looks for them here


def saves(request: HttpRequest) -> HttpResponse:
    service = CountedService.objects.order_by("pk")[0]
    with transaction.atomic():
        service.save()
    cache.get("nothing")
    return HttpResponse("saved")


class Names(SpanProcessor):
    """A third party's processor."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(f"{span.kind.name} {span.name}")


names = Names()


def traced(request: HttpRequest) -> HttpResponse:
    """A page whose developer uses OpenTelemetry's API."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider) and not names.ended:
        provider.add_span_processor(names)
    here = trace.get_current_span()
    here.set_attribute("shop.basket", 17)
    here.add_event("priced", {"shop.items": 3})
    with trace.get_tracer("shop").start_as_current_span("price", attributes={"shop.rule": "winter"}) as own:
        own.set_attribute("shop.discount", 0.5)
        CountedService.objects.count()
    try:
        raise LookupError("Morgan Canary")
    except LookupError as error:
        here.record_exception(error)
    return HttpResponse(str(here.is_recording()))


def seen(request: HttpRequest) -> HttpResponse:
    return HttpResponse("\n".join(names.ended))


urlpatterns: list[URLPattern | URLResolver] = [
    path("saves/", saves),
    path("traced/", traced),
    path("seen/", seen),
    path("django-prometheus/", include("django_prometheus.urls")),
    *broken,
]
