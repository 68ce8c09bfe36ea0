"""`/.well-known/security.txt` (RFC 9116): where to report a hole in the site."""

from datetime import UTC, datetime, time, timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

_GOOD_FOR = timedelta(days=180)


@require_safe
@cache_control(max_age=86_400)
def security_txt(request: HttpRequest) -> HttpResponse:
    """Always half a year ahead of its end, as somebody runs the site who reads what comes in."""
    expires = datetime.combine(datetime.now(UTC).date() + _GOOD_FOR, time(), tzinfo=UTC)
    lines = {
        "Contact": settings.SECURITY_CONTACT,
        "Expires": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages": "en",
        "Canonical": f"{settings.SITE_URL}/.well-known/security.txt",
    }
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
