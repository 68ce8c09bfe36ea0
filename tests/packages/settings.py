"""The site's own settings, extended through django-prometheus' documented extension points."""

from xfhandyman.settings import *  # noqa: F403  # a settings module is made to be read whole
from xfhandyman.settings import INSTALLED_APPS, MIDDLEWARE, TELEMETRY

INSTALLED_APPS = ["django_prometheus", *INSTALLED_APPS, "tests.packages"]
MIDDLEWARE = [
    "tests.packages.middleware.ShopMiddleware" if name == "telemetry.middleware.ObservingMiddleware" else name
    for name in MIDDLEWARE
]
ROOT_URLCONF = "tests.packages.urls"
CACHES = {"default": {"BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache"}}
TELEMETRY = {**TELEMETRY, "STOCK_METRICS": True}
