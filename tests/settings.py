"""The site's settings for the process that runs the tests. What they start as a site has the site's own."""

from xfhandyman import embedded

embedded.stand_in()

from xfhandyman.settings import *  # noqa: E402, F403 - after the database that they name

# A hash takes a quarter of a second, several times in a test; what it has to cost is asked with production's settings.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # else each test client lists all static files
