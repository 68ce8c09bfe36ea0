"""The site's own settings, with pages and tasks that break."""

from xfhandyman.settings import *  # noqa: F403  # a settings module is made to be read whole
from xfhandyman.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.broken"]
ROOT_URLCONF = "tests.broken.urls"
