"""Settings of a project with the site's settings and packages, and none of its own apps: what those cost to import."""

from xfhandyman import settings as site
from xfhandyman.settings import *  # noqa: F403 - what Django's settings are made of

_OWN = ("xfhandyman", "bookings", "telemetry")
INSTALLED_APPS = ["django.contrib.admin", *(app for app in site.INSTALLED_APPS if not app.startswith(_OWN))]
MIDDLEWARE = [middleware for middleware in site.MIDDLEWARE if not middleware.startswith(_OWN)]
DATABASES = {"default": {**site.DATABASES["default"], "ENGINE": "django.db.backends.postgresql"}}
PROCRASTINATE_ON_APP_READY = ""
ROOT_URLCONF = "benchmarks.empty.urls"
