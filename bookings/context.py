"""What every page of the site knows about the business."""

from django.conf import settings
from django.http import HttpRequest

from bookings import country, phone


def business(request: HttpRequest) -> dict[str, object]:
    """Add the business to a template's context; `business.url` is the site's origin without a slash."""
    return {
        "business": {
            "name": settings.BUSINESS_NAME,
            "phone": settings.BUSINESS_PHONE,
            "phone_uri": phone.uri(settings.BUSINESS_PHONE),
            "country": country.current(),
            "language": f"en-{settings.BUSINESS_COUNTRY}",
            "address": settings.BUSINESS_ADDRESS,
            "url": settings.SITE_URL,
            "hours": settings.BUSINESS_PHONE_HOURS.items(),
            "change_hours": settings.BOOKING_CHANGE_HOURS,
            "grace_minutes": settings.BOOKING_GRACE_MINUTES,
            "several_jobs": settings.BOOKING_JOBS_PER_VISIT > 1,
            "deposits": bool(settings.STRIPE_SECRET_KEY),
        }
    }
