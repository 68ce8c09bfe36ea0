"""The site's settings with the routes that break a pool on purpose."""

from xfhandyman.settings import *  # noqa: F403 - a settings module is its names

ROOT_URLCONF = "tests.pool_urls"
