"""schema.org descriptions for search engines, as JSON-LD that is safe inside a script element."""

import json
from collections.abc import Sequence

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from bookings import money
from bookings.models import Review, ReviewSummary, Service, ServiceArea, Weekday, WorkingHours


def business(
    areas: Sequence[ServiceArea], reviews: Sequence[Review], summary: ReviewSummary | None = None
) -> SafeString:
    """The business as a schema.org HomeAndConstructionBusiness."""
    data: dict[str, object] = {**_business(), "areaServed": [area.name or area.prefix for area in areas]}
    data |= _rated(summary)
    data["openingHoursSpecification"] = opening_hours()
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


def service(each: Service, summary: ReviewSummary | None = None) -> SafeString:
    """One service with its lowest price; a quote has no offer."""
    data: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "Service",
        "name": each.name,
        "description": each.summary,
        "url": settings.SITE_URL + each.get_absolute_url(),
        "provider": _business(),
        **_rated(summary),
    }
    if each.from_pence is not None:
        price = f"{money.exact(each.from_pence):f}"
        data["offers"] = {"@type": "Offer", "price": price, "priceCurrency": settings.BUSINESS_CURRENCY}
    return _script(data)


def _rated(summary: ReviewSummary | None) -> dict[str, object]:
    """What customers give on average, and how many; nothing where nobody has said anything."""
    if summary is None:
        return {}
    rating = {"ratingValue": summary.average, "reviewCount": summary.count, "bestRating": 5}
    return {"aggregateRating": {"@type": "AggregateRating", **rating}}


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


def opening_hours() -> list[dict[str, object]]:
    """When anybody works, as OpeningHoursSpecifications: days of the same hours together, a break in two of them."""
    hours = WorkingHours.objects.filter(handyman__active=True).order_by("weekday", "start", "end")
    days: dict[int, list[tuple[str, str]]] = {}
    for weekday, start, end in hours.values_list("weekday", "start", "end"):
        # Midnight at the end of a day would read as one at its start.
        opens, closes = f"{start:%H:%M}", f"{end:%H:%M}" if end > start else "23:59"
        stretches = days.setdefault(weekday, [])
        if stretches and opens <= stretches[-1][1]:
            opens, closes = stretches[-1][0], max(closes, stretches.pop()[1])
        stretches.append((opens, closes))
    alike: dict[tuple[str, str], list[str]] = {}
    for weekday, stretches in days.items():
        for stretch in stretches:
            alike.setdefault(stretch, []).append(Weekday(weekday).label)
    return [
        {"@type": "OpeningHoursSpecification", "dayOfWeek": names, "opens": opens, "closes": closes}
        for (opens, closes), names in alike.items()
    ]


def _script(data: dict[str, object]) -> SafeString:
    # "</script>" inside a review would end the element; JSON lets every "<" be written as an escape.
    return mark_safe(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S308 - escaped above
