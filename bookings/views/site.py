"""The pages that say what the business does: home, services, privacy."""

from collections.abc import Iterable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.http import require_safe

from bookings import kept_pages, structured_data
from bookings.forms import PostcodeForm
from bookings.models import Assurance, Review, Service, ServiceArea
from bookings.slots import calendars


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Hero, area check (`?postcode=`), services by job, reviews, questions."""
    return kept_pages.answer(request, "bookings/home.html", kept=lambda: _home(request))


def _home(request: HttpRequest) -> dict[str, object]:
    areas, reviews = list(ServiceArea.objects.all()), list(Review.objects.shown()[:3])
    summary = Review.objects.summary()
    return {
        **_area_check(request),
        "areas": areas,
        "groups": _by_group(Service.objects.active()),
        "reviews": reviews,
        "summary": summary,
        "assurances": Assurance.objects.shown(),
        "structured_data": structured_data.business(areas, reviews, summary),
    }


@require_safe
def services(request: HttpRequest) -> HttpResponse:
    def shown() -> dict[str, object]:
        return {"groups": _by_group(Service.objects.active()), "section": "services"}

    return kept_pages.answer(request, "bookings/services.html", kept=shown)


@require_safe
def service(request: HttpRequest, slug: str) -> HttpResponse:
    """A job with its price, who does it, and the area check (`?postcode=`)."""
    return kept_pages.answer(request, "bookings/service.html", kept=lambda: _service(request, slug))


def _service(request: HttpRequest, slug: str) -> dict[str, object]:
    chosen = get_object_or_404(Service.objects.active(), slug=slug)
    summary = chosen.reviews.all().summary()
    return {
        **_area_check(request),
        "areas": ServiceArea.objects.all(),  # read only where the answer is no
        "service": chosen,
        "handymen": chosen.handymen.active().with_portraits(),
        "possible": calendars.Reader(now=timezone.now(), service=chosen).is_possible(),
        "reviews": chosen.reviews.all().shown()[:2],
        "summary": summary,
        "assurances": Assurance.objects.shown(),
        "structured_data": structured_data.service(chosen, summary),
        "section": "services",
    }


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    context = {
        "link_days": settings.BOOKING_LINK_DAYS,
        "bookings_kept": _how_long(settings.KEEP_BOOKINGS_DAYS),
        "messages_kept": _how_long(settings.KEEP_MESSAGES_DAYS),
        "backups_kept": _how_long(settings.KEEP_BACKUPS_DAYS),
    }
    return render(request, "bookings/privacy.html", context)


def _how_long(days: int) -> str:
    """In years where it is whole ones."""
    years, rest = divmod(days, 365)
    if rest or not years:
        return f"{days} days"
    return "one year" if years == 1 else f"{years} years"


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers ask for the icon of what names none: files, and pages of other packages."""
    return redirect(static("img/icon.svg"))


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    return render(request, "bookings/robots.txt", content_type="text/plain")


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    icons = [{"src": static("img/icon.svg"), "sizes": "any", "type": "image/svg+xml"}]
    icons += [
        {"src": static(f"img/icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png"} for size in (192, 512)
    ]
    body = {
        "name": settings.BUSINESS_NAME,
        "short_name": settings.BUSINESS_NAME,
        "start_url": "/",
        "display": "browser",
        "background_color": "#f4f5f0",
        "theme_color": "#ffc72c",
        "icons": icons,
    }
    return JsonResponse(body, content_type="application/manifest+json")


def _area_check(request: HttpRequest) -> dict[str, object]:
    """Whether the business comes to the postcode that was asked about, before anything else is typed."""
    area = PostcodeForm(request.GET) if "postcode" in request.GET else PostcodeForm()
    covered = area.is_valid() and ServiceArea.objects.covers(area.cleaned_data["postcode"])
    return {"area": area, "covered": covered, "postcode": area.cleaned_data["postcode"] if covered else None}


def _by_group(services: Iterable[Service]) -> list[tuple[str, list[Service]]]:
    """Services in the catalogue's order, gathered under their headings."""
    ordered: dict[str, list[Service]] = {}
    for each in services:
        ordered.setdefault(each.group, []).append(each)
    return list(ordered.items())
