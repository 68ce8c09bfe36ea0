"""Bodies that are refused by their length alone, before anything of them is read."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


class BodyLimitMiddleware:
    """413 above BODY_LIMITS[path], elsewhere above what Django reads into memory. Stands before who reads forms.

    A body without a length is no way around it: Django then reads none. gunicorn drops the connection when the rest
    of a refused body is long, so browsers check photos by themselves first (static/js/draft.js).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.limits: dict[str, int] = settings.BODY_LIMITS

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        limit = self.limits.get(request.path_info, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if len(length) > 15 or (length.isdecimal() and int(length) > limit):
            context = {"megabytes": limit // 1_000_000, "request_id": getattr(request, "request_id", "")}
            return render(request, "413.html", context, status=413)
        return self.get_response(request)
