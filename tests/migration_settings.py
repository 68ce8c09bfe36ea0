"""The site's settings with the linter of migrations, which runs as an app."""

from xfhandyman.settings import *  # noqa: F403  # a settings module is made to be read whole
from xfhandyman.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
