"""What search engines should know of: the fixed pages and every service."""

from django.contrib.sitemaps import Sitemap
from django.db.models import QuerySet
from django.urls import reverse

from bookings.models import Service


class PageSitemap(Sitemap):
    def items(self) -> list[str]:
        return ["home", "services", "contact", "privacy"]

    def location(self, item: str) -> str:
        return reverse(item)


class ServiceSitemap(Sitemap):
    def items(self) -> QuerySet[Service]:
        return Service.objects.active()


SITEMAPS = {"pages": PageSitemap, "services": ServiceSitemap}
