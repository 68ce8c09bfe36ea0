"""Every route of the site with an address, of a row where the route names one, for tests that walk them all."""

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

from bookings.models import Booking, ContactMessage, MessagePhoto
from tests import factories

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")


def routes(resolver: URLResolver, before: str = "/") -> Iterator[tuple[str, str]]:
    """Every pattern of the URLconf, named or not, as (its whole route, its name)."""
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern).lstrip("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.name or route


def addresses() -> dict[str, str]:
    """An address for each route; makes a booking and a photo for those that name one."""
    service = factories.service()
    visit: Booking = factories.booking(
        service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow()
    )
    message = ContactMessage.objects.create(name="N", email="n@example.com", body="B")
    photo = MessagePhoto.objects.create(message=message, jpeg=b"x")
    values = {
        "token": visit.link_token,
        "slug": service.slug,
        "which": "today",
        "app_label": "bookings",
        "object_id": visit.pk,
    }
    rows = {
        "message_photo": photo.pk,
        "bookings_booking_preview": visit.pk,
        "crew_visit": visit.pk,
        "crew_photos": visit.pk,
    }
    found = {}
    for route, name in routes(get_resolver()):
        given = values | {"pk": rows.get(name, 1), "id": 1, "url": "x"}
        parts = _PARAMETER.split(route)  # text, and the name of a parameter in either notation, in turns
        found[route] = "".join(str(given[part]) if at % 3 else part for at, part in enumerate(parts) if part)
    return found
