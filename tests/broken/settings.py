"""The site's own settings, with pages and tasks that break."""

import os

from xfhandyman.settings import *  # noqa: F403  # a settings module is made to be read whole
from xfhandyman.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [*INSTALLED_APPS, "tests.broken"]
ROOT_URLCONF = "tests.broken.urls"
if "PAGE_FAULTS" in os.environ:
    MIDDLEWARE = [*MIDDLEWARE, "tests.broken.faults.middleware"]
