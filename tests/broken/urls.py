"""Pages that fail, below the site's own."""

from django.urls import URLPattern, URLResolver, path

from tests.broken import views
from xfhandyman import urls as site
from xfhandyman.urls import handler400, handler403, handler404, handler500  # noqa: F401  # Django looks for them here

urlpatterns: list[URLPattern | URLResolver] = [
    path("broken/raise/<slug:what>/", views.raises),
    path("broken/canary/", views.canary),
    path("broken/log/", views.logs_an_error),
    path("broken/handled/", views.handles),
    path("broken/outage/", views.outage),
    path("broken/fine/<slug:what>/", views.fine),
    path("broken/queries/", views.queries),
    path("broken/fetch/", views.fetches),
    path("broken/hold/", views.holds),
    path("broken/transaction/", views.transaction_left_open),
    path("broken/sleep/", views.sleeps),
    path("broken/work/", views.work),
    path("broken/memory/", views.memory),
    path("broken/defer/<slug:task>/", views.defers),
    *site.urlpatterns,
]
