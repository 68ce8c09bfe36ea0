"""The site's own static files, by the address under which a browser has them."""

from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.utils._os import safe_join


def _prefix() -> str:
    return urlsplit(settings.STATIC_URL or "/static/").path  # a host may have none


def is_static(path: str) -> bool:
    """Whether a path is below STATIC_URL."""
    return path.startswith(_prefix())


@lru_cache(maxsize=512)
def file_of(path: str) -> Path | None:
    """The file that the site serves at this path; None for what is none of its static files.

    The collected one where there is one, else the one that the finders know. A release's files are asked for by few
    names, so that the answers are kept.
    """
    if not is_static(path):
        return None
    name = unquote(path.removeprefix(_prefix()))
    try:
        if settings.STATIC_ROOT and (collected := Path(safe_join(settings.STATIC_ROOT, name))).is_file():
            return collected
        found = finders.find(name)
    except (ImproperlyConfigured, SuspiciousOperation, OSError, ValueError):
        return None
    return Path(found) if found else None
