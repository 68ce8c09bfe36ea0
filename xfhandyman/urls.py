"""Every route of the site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from xfhandyman.operations import live
from xfhandyman.operations.views import operations, page_views
from xfhandyman.security.disclosure import security_txt

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/operations/now/", live.now, name="operations_now"),
    path("admin/operations/now.css", live.stylesheet, name="operations_now_css"),
    path("admin/operations/page-views.csv", admin.site.admin_view(page_views), name="operations_page_views"),
    path("admin/operations/", live.or_live(admin.site.admin_view(operations)), name="operations"),
    path("admin/", admin.site.urls),
    path(".well-known/security.txt", security_txt, name="security_txt"),
    path("", include("telemetry.urls")),
    path("", include("bookings.urls")),
]

handler400 = "bookings.views.errors.bad_request"
handler403 = "bookings.views.errors.permission_denied"
handler404 = "bookings.views.errors.page_not_found"
handler500 = "bookings.views.errors.server_error"
