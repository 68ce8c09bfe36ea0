"""schema.org descriptions for search engines, as JSON-LD that is safe inside a script element."""

import json
from collections.abc import Sequence

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from . import money
from .models import Review, Service, ServiceArea


def business(areas: Sequence[ServiceArea], reviews: Sequence[Review]) -> SafeString:
    """The business as a schema.org HomeAndConstructionBusiness."""
    data: dict[str, object] = {**_business(), "areaServed": [area.name or area.prefix for area in areas]}
    data["openingHoursSpecification"] = [
        _hours(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"], "08:00", "18:00"),
        _hours(["Saturday"], "09:00", "13:00"),
    ]
    data["review"] = [
        {
            "@type": "Review",
            "author": {"@type": "Person", "name": review.author},
            "datePublished": review.date.isoformat(),
            "reviewBody": review.body,
            "reviewRating": {"@type": "Rating", "ratingValue": review.rating, "bestRating": 5},
        }
        for review in reviews
    ]
    return _script(data)


def service(each: Service) -> SafeString:
    """One service with its lowest price; a quote has no offer."""
    data: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "Service",
        "name": each.name,
        "description": each.summary,
        "url": settings.SITE_URL + each.get_absolute_url(),
        "provider": _business(),
    }
    if each.from_pence is not None:
        price = f"{money.exact(each.from_pence):f}"
        data["offers"] = {"@type": "Offer", "price": price, "priceCurrency": settings.BUSINESS_CURRENCY}
    return _script(data)


def _business() -> dict[str, object]:
    return {
        "@context": "https://schema.org",
        "@type": "HomeAndConstructionBusiness",
        "name": settings.BUSINESS_NAME,
        "url": settings.SITE_URL + "/",
        "telephone": settings.BUSINESS_PHONE,
        "address": {
            "@type": "PostalAddress",
            "streetAddress": settings.BUSINESS_ADDRESS,
            "addressCountry": settings.BUSINESS_COUNTRY,
        },
    }


def _hours(days: list[str], opens: str, closes: str) -> dict[str, object]:
    return {"@type": "OpeningHoursSpecification", "dayOfWeek": days, "opens": opens, "closes": closes}


def _script(data: dict[str, object]) -> SafeString:
    # "</script>" inside a review would end the element; JSON lets every "<" be written as an escape.
    return mark_safe(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S308 - escaped above
