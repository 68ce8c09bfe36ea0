"""/admin/operations/"""

import csv
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from telemetry import health
from xfhandyman.operations import business, live, site, timeline


@require_safe
def page_views(request: HttpRequest) -> HttpResponse:
    """The page views of the last week by hour (UTC), page and kind of device, as CSV for the same staff."""
    if not request.user.has_perm("bookings.view_operations"):
        raise PermissionDenied
    named = {"Content-Disposition": 'attachment; filename="page-views.csv"'}
    response = HttpResponse(content_type="text/csv; charset=utf-8", headers=named)
    rows: Any = csv.writer(response)
    rows.writerow(("hour", "page", "device", "views"))
    rows.writerows((hour.isoformat(), *of_page) for hour, *of_page in site.views_by_hour(timezone.now()))
    return response


@require_safe
def operations(request: HttpRequest) -> HttpResponse:
    """The page, for staff who may see operations; the admin's own wrapper asks for the login and forbids caching."""
    if not request.user.has_perm("bookings.view_operations"):
        raise PermissionDenied
    response = TemplateResponse(request, "admin/operations/page.html", _context(request))
    live.allow(request, response)
    return response.render()


def _context(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    health.refresh()
    pages = site.pages(now)
    tasks, cancellations = site.tasks(now), business.cancellations(now)
    bookings = business.by_day("by-day", "Bookings made by day, last 30 days", "bookings", business.made, now)
    off = business.by_day("cancelled", "Cancellations by day, last 30 days", "cancellations", business.cancelled, now)
    return admin.site.each_context(request) | {
        "title": "Operations",
        "is_nav_sidebar_enabled": False,
        "now": now,
        "timeline": timeline.draw(timeline.from_everywhere(now), now.timestamp()),
        "tickets": site.tickets_open(),
        "wrong": site.wrong_now(tasks, now),
        "charts": [
            business.by_hour("by-hour", "Bookings made", "bookings", business.made, now),
            business.by_hour("messages", "Messages", "messages", business.written, now, at="created_at"),
            bookings,
            off,
        ],
        "made": bookings.total,
        "visits": business.visits(now),
        "loads": business.coming_week(now),
        "waiting": business.waiting(now),
        "cancellations": cancellations,
        "cancelled": sum(cancellations.values()),
        "vitals": list(site.THRESHOLDS),
        "pages": pages,
        "to_mend": site.to_mend(pages, now),
        "js_errors": site.js_errors(now),
        "tasks": tasks,
        "checks": health.checks(),
    }
