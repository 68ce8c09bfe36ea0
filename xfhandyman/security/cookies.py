"""Cookies that no session of ours can have, dropped before anybody looks them up."""

import re
from collections.abc import Callable

from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.http import HttpRequest, HttpResponse

_KEY = re.compile(f"[{VALID_KEY_CHARS}]{{32}}")


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Drop a session cookie that is none: PostgreSQL cannot look up a key with NUL in it."""

    def checked(request: HttpRequest) -> HttpResponse:
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if key is not None and not _KEY.fullmatch(key):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        return get_response(request)

    return checked
